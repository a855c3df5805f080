"""The choice between KVM and TCG, and the reason for TCG."""

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
    """machine(script): this machine seems to be x86-64 with /dev/kvm and a shell script as QEMU."""
    accel.kvm_obstacle.cache_clear()
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
    accel.kvm_obstacle.cache_clear()


QUITS = """read first; read second; case $second in *quit*) exit 0;; esac; echo "no quit" >&2; exit 9"""


def test_working_kvm(machine, tmp_path):
    """QEMU starts and quits."""
    machine(QUITS)
    assert accel.choose("auto", X86) == accel.Accel("kvm")
    assert accel.choose("kvm", X86) == accel.Accel("kvm")
    assert "-accel kvm -cpu host" in (tmp_path / "argv").read_text()


def test_cpu_of_the_target(machine, tmp_path):
    """The trial uses the target's CPU model, which may work when -cpu host does not."""
    machine(f"""case "$*" in *EPYC*) ;; *) exit 1;; esac; {QUITS}""")
    assert accel.choose("auto", X86, "EPYC").name == "kvm"
    assert accel.choose("auto", X86).name == "tcg"
    assert accel.choose("auto", X86, "EPYC").name == "kvm"


def test_hanging_qemu(machine, tmp_path, monkeypatch):
    """It costs a deadline, is killed, and KVM counts as unusable."""
    monkeypatch.setattr(accel, "_TRIAL", 0.5)
    machine(f"trap '' TERM HUP; echo $$ >{tmp_path}/pid; exec sleep 60")
    begin = time.monotonic()
    assert "did not start within 0.5 s" in accel.choose("auto", X86).fallback
    assert time.monotonic() - begin < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_qemu_that_survives_sigkill(monkeypatch):
    """It is reported, and waited for only briefly."""
    monkeypatch.setattr(accel, "_KILL", 0.2)
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE, text=True) as process:
        monkeypatch.setattr(process, "kill", lambda: None)
        assert accel._kill(process) == f", and pid {process.pid} has not ended 0.2 s after SIGKILL"
        monkeypatch.undo()
        assert accel._kill(process) == ""


def test_qemu_that_aborts(machine):
    """Its last line is the reason, with `where = "auto"` and with `where = "kvm"`."""
    machine("echo noise >&2; echo 'kvm.c:3183: Assertion failed.' >&2; kill -ABRT $$")
    chosen = accel.choose("auto", X86)
    assert chosen.name == "tcg"
    assert (
        chosen.fallback == "qemu-system-x86_64 -accel kvm failed with signal 6: kvm.c:3183: Assertion failed."
    )
    with pytest.raises(NoKvm, match="failed with signal 6"):
        accel.choose("kvm", X86)


def test_tcg_needs_no_trial(machine, tmp_path):
    machine("exit 1")
    assert accel.choose("tcg", X86) == accel.Accel("tcg")
    assert not (tmp_path / "argv").exists()


@pytest.mark.parametrize(
    ("arch", "nested", "why"),
    [(X86, "N", "nested virtualization is off"), (ARM, "Y", "which is x86_64, not aarch64")],
)
def test_no_trial_when_the_reason_is_known(machine, tmp_path, arch, nested, why):
    machine("exec sleep 60", nested)
    assert why in accel.choose("auto", arch).fallback
    assert not (tmp_path / "argv").exists()


def test_riscv_does_not_nest(machine, monkeypatch):
    machine("exec sleep 60")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert "no hypervisor extension" in accel.choose("auto", RISCV).fallback


def test_no_device(machine, monkeypatch):
    machine("exec sleep 60")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "group kvm" in accel.choose("auto", X86).fallback
