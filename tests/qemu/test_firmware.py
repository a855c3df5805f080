"""The choice between the default firmware and a faster one that is installed with QEMU."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.qemu import firmware


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The path of qboot.rom in an installation of QEMU, whose programs are links on PATH."""
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
def test_fast_firmware(installed, arch, accel, there):
    """Under KVM it is the default firmware, which sets up what a nested KVM on Intel's CPUs needs."""
    assert firmware.fast_firmware(ARCHITECTURES[arch], accel) == (installed if there else None)


def test_without_qboot(installed):
    installed.unlink()
    assert firmware.fast_firmware(ARCHITECTURES["x86_64"], "tcg") is None


def test_without_qemu(installed, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert firmware.fast_firmware(ARCHITECTURES["x86_64"], "tcg") is None
