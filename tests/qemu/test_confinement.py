"""How QEMU is confined: as strictly as it and this machine permit, which a trial shows."""

import os
import select
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import InfrastructureError
from sysevent.qemu import confinement as confining
from sysevent.qemu.confinement import Confinement, confinement, let_write, open_for
from sysevent.qemu.process import QemuProcess

STRICT = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny,spawn=deny")
NO_SECCOMP = 'case "$*" in *-sandbox*) echo "-sandbox support is not enabled" >&2; exit 1;; esac'
OTHER_USER = Confinement(("--no-new-privs", "--reuid=65534"))

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another user")


@pytest.fixture
def stub():
    """stub(script): the path of a QEMU that is a shell script, which every user can run."""
    # Where every user may go, and programs can be executed: tests/conftest.py.
    place = os.environ.get("PYTEST_DEBUG_TEMPROOT", "/tmp")
    with tempfile.TemporaryDirectory(dir=place, prefix="sysevent-test-") as folder:
        Path(folder).chmod(0o755)

        def write(script):
            path = Path(folder) / "qemu-system-stub"
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
            return str(path)

        yield write


def test_all_of_it(stub):
    found = confinement(stub("exit 0"), kvm=False)
    assert found.options == STRICT
    assert found.privileges[0] == "--no-new-privs"
    assert found.other_user == (os.geteuid() == 0)


def test_kvm(stub):
    """Its device needs the rights of this user."""
    found = confinement(stub("exit 0"), kvm=True)
    assert (found.privileges, found.options) == (("--no-new-privs",), STRICT)


def test_without_seccomp(stub):
    found = confinement(stub(NO_SECCOMP), kvm=False)
    assert found.options == ()
    assert found.other_user == (os.geteuid() == 0)


@as_root
def test_where_other_users_cannot_run_it(stub):
    """As in a container that has one user, or a QEMU in root's home: the sandbox stays."""
    found = confinement(stub("[ $(id -u) = 0 ]"), kvm=False)
    assert (found.privileges, found.options) == (("--no-new-privs",), STRICT)


@pytest.mark.parametrize("script", ["exit 1", "kill -SEGV $$", "echo no such machine >&2; exit 1"])
def test_a_qemu_that_does_not_start(stub, script):
    """It is not confined, and its guest is lost with its own message."""
    found = confinement(stub(script), kvm=False)
    assert (found, found.stretch) == (Confinement(), 1)


@pytest.mark.parametrize(("prompt", "slow"), [(60, False), (0.01, True)])
def test_a_slow_machine(stub, monkeypatch, prompt, slow):
    """Deadlines become as many times longer as QEMU's start took longer than it may; they never become shorter."""
    monkeypatch.setattr(confining, "_PROMPT", prompt)
    found = confinement(stub("exec sleep 0.1"), kvm=False)
    assert found.seconds >= 0.1
    assert (found.stretch >= 10) if slow else (found.stretch == 1)


def test_patience_has_an_end():
    """A guest that never boots is given up after an hour: the time for a boot is 180 s."""
    assert Confinement(seconds=60).stretch == 20


@pytest.mark.parametrize(("limit", "slow"), [(60, False), (0.0001, True)])
def test_a_slow_cpu(stub, monkeypatch, limit, slow):
    """By CPU time: a machine with much to do is not slow."""
    monkeypatch.setattr(confining, "_SLOW_CPU", limit)
    found = confinement(stub("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done"), kvm=False)
    assert (found.very_slow, bool(found.pace)) == (slow, slow)


def test_where_it_is_lost_how_a_child_ended(stub):
    """As for a service whose manager ignores SIGCHLD: QEMU is confined all the same."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert confinement(stub("exit 0"), kvm=True).options == STRICT
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_qemu_that_hangs(stub, monkeypatch):
    monkeypatch.setattr(confining, "_TRIAL", 0.2)
    with pytest.raises(InfrastructureError, match=r"qemu-system-stub does not start and quit within 0.2 s"):
        confinement(stub("exec sleep 60"), kvm=False)


@pytest.mark.parametrize(
    ("content", "mode", "tried"),
    [
        (b"\x7fELF libseccomp.so.2", 0o755, ["a", "b"]),
        # One that other users may not run.
        (b"\x7fELF libseccomp.so.2", 0o700, ["a", "b", "c"]),
        (b"\x7fELF without", 0o755, ["a", "b", "c"]),
        (b"#!/bin/sh\n# libseccomp.so.2", 0o755, ["a", "b", "c"]),
    ],
)
def test_one_trial_for_the_qemus_of_a_directory(tmp_path, monkeypatch, content, mode, tried):
    """If they are programs with seccomp, and only after one that started: the first of these three does not."""
    found = []

    def trial(program, asked):
        found.append(Path(program).name)
        return None if found[-1] == "a" else 0.04

    for name in "abc":
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755 if name < "c" else mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(confining, "_tried", trial)
    options = [confinement(name, kvm=True).options for name in "abc"]
    assert options == [(), STRICT, STRICT]
    assert list(dict.fromkeys(found)) == tried


def test_files_that_other_users_may_not_read(tmp_path):
    """Are copied into memory; the others are passed on as they are."""
    path = tmp_path / "kernel"
    path.write_bytes(b"kernel" * 100_000)
    path.chmod(0o600)
    for found, copied in ((Confinement(), False), (OTHER_USER, True)):
        file = open_for(found, path)
        try:
            assert os.path.samestat(os.fstat(file), path.stat()) == (not copied)
            assert os.pread(file, 1 << 20, 0) == path.read_bytes()
            assert stat.S_IMODE(os.fstat(file).st_mode) & stat.S_IROTH or not copied
        finally:
            os.close(file)
    path.chmod(0o644)
    file = open_for(OTHER_USER, path)
    assert os.path.samestat(os.fstat(file), path.stat())
    os.close(file)


def test_files_that_it_writes_to(tmp_path):
    """Their directory keeps all other processes of that user out."""
    (tmp_path / "snapshots").mkdir(0o755)
    path = tmp_path / "snapshots" / "state"
    path.touch(0o600)
    with path.open("r+b") as file:
        let_write(Confinement(), file.fileno())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
        let_write(OTHER_USER, file.fileno())
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    memory = os.memfd_create("a test")
    let_write(OTHER_USER, memory)
    os.close(memory)


@as_root
def test_descriptors_can_be_opened_again(tmp_path):
    """By the other user, although its name cannot be reached: what QEMU does with /proc/self/fd."""
    path = tmp_path / "private" / "kernel"
    path.parent.mkdir(0o700)
    path.write_bytes(b"kernel")
    path.chmod(0o600)
    found = Confinement(("--no-new-privs", "--reuid=65534", "--regid=65534", "--clear-groups"))
    file = open_for(found, path)
    words = ["setpriv", *found.privileges, "--", "cat", f"/proc/self/fd/{file}"]
    done = subprocess.run(words, pass_fds=[file], capture_output=True, check=False)
    os.close(file)
    assert done.stdout == b"kernel"


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_the_installed_qemu(arch, tmp_path):
    """What the kernel says of a QEMU that is started like this: filtered, without privileges, and not root."""
    if shutil.which(arch.qemu) is None:
        pytest.skip(f"{arch.qemu} is not installed")
    found = confinement(arch.qemu, kvm=False)
    if not found.options:
        pytest.skip("this QEMU, or this machine, has no seccomp")
    words = [arch.qemu, *found.options, "-machine", "none", "-nodefaults", "-display", "none", "-S"]
    process = QemuProcess(words, [], tmp_path / "qemu.log", privileges=found.privileges)
    try:
        assert not select.select([process.pidfd], [], [], 1)[0], process.how_it_ended()
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    finally:
        process.close()
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert ("0" not in status["Uid"].split()) or not found.other_user
    assert int(status["CapEff"], 16) == 0 or not found.other_user
