"""The trial of QEMU's CPU: what its exit codes mean, that the result is kept, and that it costs nothing elsewhere."""

import shutil

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.qemu import cpu_trial
from sysevent.settings import Settings

X86 = ARCHITECTURES["x86_64"]


@pytest.fixture
def settings(tmp_path):
    return Settings(cache=tmp_path / "cache", mirror=None, keyring=None, offline=True, snapshots=True)


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    """qemu(script): puts a QEMU on PATH, which is that script of the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def install(script):
        file = folder / X86.qemu
        file.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/started\n{script}\n')
        file.chmod(0o755)

    return install


@pytest.mark.parametrize(
    ("script", "cpu"),
    [
        ("exit 33", ""),
        ("exit 35", "max,-cx16,npt=off"),
        # Neither is known to be a result: of a QEMU without the device, of one that was ended.
        ("exit 1", ""),
        ("kill -9 $$", ""),
    ],
)
def test_what_an_exit_code_means(settings, qemu, script, cpu):
    """Only a definite result removes a part of the CPU, with a line that says why."""
    qemu(script)
    lines = []
    assert cpu_trial.model(X86, "tcg", "", settings, lines.append) == cpu
    assert [X86.qemu_trial.word in line for line in lines] == [True] * bool(cpu)


def test_a_qemu_that_hangs(settings, qemu, monkeypatch):
    """It is ended, and its CPU is used as it is."""
    monkeypatch.setattr(cpu_trial, "_PATIENCE", 0.5)
    qemu("exec sleep 60")
    assert cpu_trial.works(X86, settings)


def test_kept_until_qemu_changes(settings, qemu, tmp_path):
    """One start for each QEMU; a result that is not definite is not kept."""
    started = tmp_path / "started"
    for script, starts in (("exit 35", 1), ("exit 33", 1), ("exit 1", 2)):
        started.unlink(missing_ok=True)
        qemu(script)
        results = {cpu_trial.works(X86, settings) for _ in range(2)}
        assert results == {script != "exit 35"}
        assert len(started.read_text().splitlines()) == starts


@pytest.mark.parametrize(
    ("arch", "accel", "wanted"),
    [("x86_64", "kvm", ""), ("x86_64", "tcg", "EPYC"), ("arm64", "tcg", ""), ("arm64", "kvm", "host")],
)
def test_where_there_is_no_trial(settings, qemu, tmp_path, arch, accel, wanted):
    """The CPU of a target, and that of KVM, are used as they are."""
    qemu("exit 35")
    assert cpu_trial.model(ARCHITECTURES[arch], accel, wanted, settings, pytest.fail) == wanted
    assert not (tmp_path / "started").exists()


def test_without_qemu_or_a_compiler(settings, qemu, monkeypatch):
    """What needs them says so; here nothing is known."""
    monkeypatch.setenv("CC_i386", "/nonexistent/cc")
    qemu("exit 35")
    assert cpu_trial.works(X86, settings)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert cpu_trial.works(X86, settings)


@pytest.mark.skipif(shutil.which(X86.qemu) is None, reason=f"{X86.qemu} is not installed")
def test_the_program_itself(settings):
    """The QEMU of this machine boots it, and it says one or the other: a third would not be kept."""
    cpu_trial.works(X86, settings)
    assert list((settings.cache / "nested").glob("cpu-*.json"))
