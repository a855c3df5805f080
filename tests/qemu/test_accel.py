"""KVM or TCG, and why; a KVM that aborts its QEMU is a reason like any other."""

import os
import platform
import subprocess
import time

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm
from sysevent.qemu import accel

X86, ARM, RISCV = (ARCHITECTURES[name] for name in ("x86_64", "arm64", "riscv64"))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with this QEMU, as a shell script, and a /dev/kvm."""
    accel.refused.cache_clear()
    monkeypatch.setattr(accel, "_NESTED", (str(tmp_path / "nested"),))
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(qemu, nested="Y"):
        (tmp_path / "nested").write_text(f"{nested}\n")
        stub = tmp_path / "qemu-system-x86_64"
        stub.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/argv\n{qemu}\n')
        stub.chmod(0o755)

    yield make
    accel.refused.cache_clear()


QUITS = """read first; read second; case $second in *quit*) exit 0;; esac; echo "no quit" >&2; exit 9"""


def test_kvm_that_works(machine, tmp_path):
    """It is told to quit, and does."""
    machine(QUITS)
    assert accel.choose("auto", X86) == accel.Accel("kvm")
    assert accel.choose("kvm", X86) == accel.Accel("kvm")
    assert "-accel kvm -cpu host" in (tmp_path / "argv").read_text()


def test_the_cpu_of_the_target(machine, tmp_path):
    """Is the one that is tried: another may work where the host's own does not."""
    machine(f"""case "$*" in *EPYC*) ;; *) exit 1;; esac; {QUITS}""")
    assert accel.choose("auto", X86, "EPYC").name == "kvm"
    assert accel.choose("auto", X86).name == "tcg"
    assert accel.choose("auto", X86, "EPYC").name == "kvm"


def test_a_qemu_that_hangs(machine, tmp_path, monkeypatch):
    """Costs a deadline, is gone, and is no KVM that works."""
    monkeypatch.setattr(accel, "_TRIAL", 0.5)
    machine(f"trap '' TERM HUP; echo $$ >{tmp_path}/pid; exec sleep 60")
    begin = time.monotonic()
    assert "does not start within 0.5 s" in accel.choose("auto", X86).fallback
    assert time.monotonic() - begin < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_that_sigkill_does_not_end(monkeypatch):
    """Is told, and not waited for."""
    monkeypatch.setattr(accel, "_GONE", 0.2)
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE, text=True) as process:
        monkeypatch.setattr(process, "kill", lambda: None)
        assert accel._killed(process) == f", and pid {process.pid} does not die of SIGKILL"
        monkeypatch.undo()
        assert accel._killed(process) == ""


def test_a_qemu_that_aborts(machine):
    """Its last words are the reason, for who prefers KVM and for who insists on it."""
    machine("echo noise >&2; echo 'kvm.c:3183: Assertion failed.' >&2; kill -ABRT $$")
    chosen = accel.choose("auto", X86)
    assert chosen.name == "tcg"
    assert (
        chosen.fallback
        == "qemu-system-x86_64 -accel kvm gives up with signal 6: kvm.c:3183: Assertion failed."
    )
    with pytest.raises(NoKvm, match="gives up with signal 6"):
        accel.choose("kvm", X86)


def test_tcg_tries_nothing(machine, tmp_path):
    machine("exit 1")
    assert accel.choose("tcg", X86) == accel.Accel("tcg")
    assert not (tmp_path / "argv").exists()


@pytest.mark.parametrize(
    ("arch", "nested", "why"),
    [(X86, "N", "nested virtualization is off"), (ARM, "Y", "which is x86_64, not aarch64")],
)
def test_what_cannot_be_is_not_tried(machine, tmp_path, arch, nested, why):
    machine("exec sleep 60", nested)
    assert why in accel.choose("auto", arch).fallback
    assert not (tmp_path / "argv").exists()


def test_riscv_has_nothing_to_nest(machine, monkeypatch):
    machine("exec sleep 60")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert "no hypervisor extension" in accel.choose("auto", RISCV).fallback


def test_no_device(machine, monkeypatch):
    machine("exec sleep 60")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "group kvm" in accel.choose("auto", X86).fallback
