"""The firmware that comes with a QEMU, where there is a quicker one than the machine's own."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.qemu import firmware


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A QEMU in a directory of its own, with its data beside it; what stands on PATH is a link to it."""
    for path in ("there/bin", "there/share/qemu", "bin"):
        (tmp_path / path).mkdir(parents=True)
    for arch in ARCHITECTURES.values():
        program = tmp_path / "there" / "bin" / arch.qemu
        program.touch(mode=0o755)
        (tmp_path / "bin" / arch.qemu).symlink_to(program)
    found = tmp_path / "there" / "share" / "qemu" / "qboot.rom"
    found.touch()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return found


@pytest.mark.parametrize(
    ("arch", "accel", "there"),
    [("x86_64", "tcg", True), ("x86_64", "kvm", False), ("arm64", "tcg", False), ("riscv64", "tcg", False)],
)
def test_quick(installed, arch, accel, there):
    """Under KVM the machine's own: it sets up what a KVM on Intel's CPUs wants."""
    assert firmware.quick(ARCHITECTURES[arch], accel) == (installed if there else None)


def test_without(installed):
    installed.unlink()
    assert firmware.quick(ARCHITECTURES["x86_64"], "tcg") is None


def test_without_qemu(installed, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert firmware.quick(ARCHITECTURES["x86_64"], "tcg") is None
