"""With KVM, or without: tried for real, remembered as long as it can hold, and told."""

import os
import textwrap
import time
from dataclasses import replace

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm
from sysevent.hosts import accel
from sysevent.hosts import booter as booters
from sysevent.hosts.boot import Boot
from sysevent.hosts.booter import Booter
from sysevent.model import KernelImage
from sysevent.qemu.argv import Machine, argv
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

AUTO = TargetSpec(name="here", arch="x86_64", where="auto")
ANSWERS = "channel.sendall(hello()); kind, abi, number, body = request(channel);"


@pytest.fixture
def settings(tmp_path):
    return Settings(cache=tmp_path / "cache", mirror=None, keyring=None, offline=True)


@pytest.fixture
def told():
    return []


@pytest.fixture(autouse=True)
def kvm(tmp_path, monkeypatch):
    """An x86-64 machine with a device that opens."""
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(accel, "KVM", tmp_path / "kvm")
    monkeypatch.setattr(accel, "own_arch", lambda: "x86_64")
    return tmp_path / "kvm"


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    """qemu(script): what stands on PATH as QEMU; each start leaves a line."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    calls = tmp_path / "calls"
    calls.touch()

    def write(script):
        path = tmp_path / "bin" / "qemu-system-x86_64"
        path.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n{textwrap.dedent(script)}\n')
        path.chmod(0o755)
        return lambda: calls.read_text().splitlines()

    return write


def boot(tmp_path, spec=AUTO, key="key"):
    kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", tmp_path / "bzImage", None)
    machine = Machine(ARCHITECTURES["x86_64"], spec.where, spec.cpu, 64, kernel.image, tmp_path / "initramfs")
    return Boot(msgspec.structs.replace(spec, boot=5), kernel, machine, key)


def test_one_that_starts(settings, qemu):
    """It is told to quit, its machine is what a run would get, and it is tried once."""
    calls = qemu("read first; read second; case $second in *quit*) exit 0;; esac; exit 1")
    assert accel.why_not(AUTO, settings) == ""
    assert accel.why_not(AUTO, settings) == ""
    (call,) = calls()
    assert "-machine q35 -accel kvm -cpu host " in call
    assert " -S " in call
    assert accel.why_not(AUTO, settings, anew=True) == ""
    assert len(calls()) == 2


def test_one_that_aborts(settings, qemu):
    """Its first words are the reason."""
    qemu("echo error: failed to set MSR 0x10a >&2; echo more >&2; kill -ABRT $$")
    assert accel.why_not(AUTO, settings) == (
        "`qemu-system-x86_64 -accel kvm -cpu host` ended at once by SIGABRT: error: failed to set MSR 0x10a"
    )


def test_one_that_hangs(settings, qemu, tmp_path, monkeypatch):
    """Costs a deadline, and is gone."""
    monkeypatch.setattr(accel, "_START", 0.5)
    qemu(f"trap '' TERM HUP; echo $$ >{tmp_path}/pid; while :; do sleep 60; done")
    begin = time.monotonic()
    assert "did not start within 0.5 s" in accel.why_not(AUTO, settings)
    assert time.monotonic() - begin < 5
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_failure_is_tried_again_later(settings, qemu, monkeypatch):
    """It may have been load, or a module that somebody loads meanwhile; what works is not tried again."""
    calls = qemu("exit 1")
    for _ in range(2):
        assert "exit code 1" in accel.why_not(AUTO, settings)
    assert len(calls()) == 1
    late = time.time() + accel._STALE + 1
    monkeypatch.setattr(accel.time, "time", lambda: late)
    assert accel.why_not(AUTO, settings)
    assert len(calls()) == 2


def test_what_a_trial_holds_for(settings, qemu, tmp_path, monkeypatch):
    """This boot of this machine, this QEMU, this CPU, this word about nesting."""
    calls = qemu("exit 0")
    accel.why_not(AUTO, settings)
    accel.why_not(msgspec.structs.replace(AUTO, cpu="EPYC"), settings)
    assert len(calls()) == 2
    assert calls()[1].split()[calls()[1].split().index("-cpu") + 1] == "EPYC"
    qemu("exit 0 # another")
    accel.why_not(AUTO, settings)
    assert len(calls()) == 3
    (tmp_path / "boot_id").write_text("later")
    monkeypatch.setattr(accel, "_BOOT_ID", tmp_path / "boot_id")
    accel.why_not(AUTO, settings)
    assert len(calls()) == 4
    (tmp_path / "nested").write_text("N\n")
    monkeypatch.setattr(accel, "_NESTED", (tmp_path / "nested",))
    accel.why_not(AUTO, settings)
    assert len(calls()) == 5


def test_no_trial_where_none_can_succeed(settings, qemu, kvm, monkeypatch):
    """Another architecture, no device, no permission: each is said, and none is remembered."""
    calls = qemu("exit 0")
    assert "runs no arm64 guests" in accel.why_not(msgspec.structs.replace(AUTO, arch="arm64"), settings)
    monkeypatch.setattr(accel.os, "access", lambda *_: False)
    assert "may not open" in accel.why_not(AUTO, settings)
    kvm.unlink()
    assert "there is no" in accel.why_not(AUTO, settings)
    assert calls() == []
    assert not (settings.cache / "accel").exists()


def test_auto_falls_back(settings, qemu, told):
    """To TCG with a CPU that TCG has, and says why."""
    qemu("exit 1")
    spec, why = accel.chosen(msgspec.structs.replace(AUTO, cpu="host,-x2apic"), settings, told.append)
    assert (spec.where, spec.cpu) == ("tcg", "")
    assert why
    assert told == [f"here: TCG, not KVM: {why}"]
    assert accel.chosen(msgspec.structs.replace(AUTO, cpu="EPYC"), settings, told.append)[0].cpu == "EPYC"


def test_kvm_does_not_fall_back(settings, qemu, told):
    """MISS, with the reason: a verdict about another machine was not asked for."""
    qemu("exit 1")
    with pytest.raises(NoKvm, match=r'here: where = "kvm", and .* exit code 1; where = "auto"'):
        accel.chosen(msgspec.structs.replace(AUTO, where="kvm"), settings, told.append)


@pytest.mark.parametrize("where", ["auto", "kvm"])
def test_with_kvm(settings, qemu, told, where):
    qemu("exit 0")
    spec, why = accel.chosen(msgspec.structs.replace(AUTO, where=where), settings, told.append)
    assert (spec.where, why, told) == ("kvm", "", [])


def test_tcg_is_not_tried(settings, qemu, told):
    calls = qemu("exit 1")
    spec = msgspec.structs.replace(AUTO, where="tcg")
    assert accel.chosen(spec, settings, told.append) == (spec, "")
    assert calls() == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"{ANSWERS} channel.sendall(reply(number)); forever()", ""),
        (f"{ANSWERS} channel.sendall(reply(number, state=1)); forever()", "no KVM of its own"),
        ("console.sendall(b'Kernel panic - not syncing: x\\r\\n'); forever()", "was lost: here: "),
        ("sys.exit(1)", "was lost: here: QEMU ended with exit code 1"),
        ("forever()", "was lost: here: silent"),
    ],
)
def test_a_guest_with_kvm(settings, stub, tmp_path, told, monkeypatch, script, words):
    """Must make a VM; every way in which it does not is a reason, found out once."""
    monkeypatch.setattr(accel, "_BOOT", 1)
    stub(f"    {script}\n")
    found = accel.why_not_nested(boot(tmp_path), settings, told.append)
    assert words in found
    assert bool(words) == bool(found)
    assert accel.why_not_nested(boot(tmp_path), settings, told.append) == found
    assert len(told) == 1
    accel.why_not_nested(boot(tmp_path, key="another kernel"), settings, told.append)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("where", "start", "nested", "runs", "fallback"),
    [
        ("auto", "", "", "kvm", ""),
        ("auto", "aborts", "", "tcg", "aborts"),
        ("auto", "", "not nested", "tcg", "not nested"),
        ("kvm", "", "not nested", "kvm", ""),  # the run itself says so
        ("tcg", "aborts", "", "tcg", ""),
    ],
)
def test_what_is_booted(settings, tmp_path, told, monkeypatch, where, start, nested, runs, fallback):
    """Command line, key and snapshots follow what it really runs with."""
    settings = replace(settings, snapshots=True)
    monkeypatch.setattr(accel, "why_not", lambda *_: start)
    monkeypatch.setattr(accel, "why_not_nested", lambda *_: nested)
    monkeypatch.setattr(booters.kernels, "find", lambda *_: None)
    init = tmp_path / "init"
    init.touch()
    program = booters.programs.Program(init, "")
    monkeypatch.setattr(booters.programs, "init", lambda *_: program)
    monkeypatch.setattr(booters.programs, "vmm", lambda *_: program)
    monkeypatch.setattr(booters, "prepare", lambda spec, *_: boot(tmp_path, spec, key=f"of {spec.where}"))
    found = Booter(msgspec.structs.replace(AUTO, where=where), settings, None)
    found.prepare(told.append)
    assert found._boot.fallback == fallback
    assert found._boot.key == f"of {runs}"
    command = argv(found._boot.machine)
    assert command[command.index("-accel") + 1] == runs
    assert command[command.index("-cpu") + 1] == ("host" if runs == "kvm" else "max,-cx16")
    assert (found._snapshots is None) == (runs == "kvm")


def test_this_machine(tmp_path, monkeypatch):
    """Whatever its KVM is, there is an answer within the deadline."""
    monkeypatch.undo()
    real = Settings(cache=tmp_path / "cache", mirror=None, keyring=None, offline=True)
    begin = time.monotonic()
    why = accel.why_not(AUTO, real)
    assert time.monotonic() - begin < accel._START + accel._GONE + 10
    assert accel.why_not(AUTO, real) == why
