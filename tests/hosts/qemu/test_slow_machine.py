"""On a very slow machine a guest's clock counts its instructions: ticks of the real one would leave it no time."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.qemu import bundle
from sysevent.model import ExpectedKernel, KernelImage
from sysevent.qemu.confinement import Confinement
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

QUICK, SLOW = Confinement(cpu_seconds=0.04), Confinement(cpu_seconds=0.4)


@pytest.fixture
def prepared(monkeypatch, tmp_path):
    """prepared(arch, confinement): the bundle of a target under TCG, of files that do not exist."""
    boot = SimpleNamespace(path=Path("/k"), key="k", content=None)
    monkeypatch.setattr(bundle.vmlinux, "boot_kernel", lambda *_: boot)
    monkeypatch.setattr(bundle.initramfs, "kernel_modules", lambda *_: ())
    monkeypatch.setattr(bundle.initramfs, "pack", lambda *_: Path("/i"))
    monkeypatch.setattr(bundle.cpu_trial, "model", lambda *_: "")
    monkeypatch.setattr(bundle, "expected_kernel", lambda *_: ExpectedKernel())
    monkeypatch.setattr(bundle, "installed_files", lambda _: ())

    def now(arch, found):
        monkeypatch.setattr(bundle, "confinement", lambda _, kvm: found)
        spec = TargetSpec(name="a", arch=arch, where="tcg")
        kernel = KernelImage("debian:6.12", arch, "6.12.1", "", Path("/k"), None)
        return bundle.prepare(spec, kernel, {}, Settings(tmp_path, None, None, offline=True), now.said.append)

    now.said = []
    return now


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_the_clock_of_a_guest(prepared, arch):
    """The snapshots of the two have different keys: neither can be restored as the other."""
    quick, slow = prepared(arch, QUICK), prepared(arch, SLOW)
    assert (quick.config.counted, slow.config.counted) == (False, True)
    assert prepared.said == [f"a: {SLOW.pace}"]
    assert "clocks of guests count instructions" in SLOW.pace
    assert quick.key != slow.key


def test_the_rate_of_a_counted_clock(prepared):
    """The kernel for x86-64 is given it: nanoseconds."""
    assert "tsc_early_khz=1000000" in prepared("x86_64", SLOW).config.append.split()
