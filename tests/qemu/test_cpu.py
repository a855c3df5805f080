"""QEMU's CPU model of a guest, by the version of QEMU."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.qemu import cpu


@pytest.mark.parametrize(
    ("version", "model"),
    [
        ("7.1.0", "rv64,h=true"),
        ("7.2.22", "rv64,h=true,x-ssaia=true"),
        ("8.2.10", "rv64,h=true,x-ssaia=true"),
        ("9.0.0", "rv64,h=true,ssaia=true"),
        ("10.0.3", "rv64,h=true,ssaia=true"),
        # Not installed, or a build that prints another text.
        ("", "rv64,h=true"),
        ("unknown", "rv64,h=true"),
    ],
)
def test_riscv64_guests_have_the_aia_where_qemu_has_it(version, model):
    assert cpu.model(ARCHITECTURES["riscv64"], "tcg", version=lambda _arch: version) == model


def test_a_wanted_model_stays_and_nothing_is_asked():
    def asked(_arch):
        raise AssertionError

    assert cpu.model(ARCHITECTURES["riscv64"], "tcg", "rv64", asked) == "rv64"
    assert cpu.model(ARCHITECTURES["riscv64"], "kvm", "", asked) == ""
    assert cpu.model(ARCHITECTURES["arm64"], "tcg", "", asked) == ""
