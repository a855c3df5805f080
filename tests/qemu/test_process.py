"""A QEMU process, played by shell scripts: how it ended, and that it never outlives us."""

import fcntl
import os
import resource
import select
import subprocess
import sys
from pathlib import Path

import pytest
from processes import SOON, has_ended

from sysevent.errors import InfrastructureError, ToolMissing
from sysevent.qemu import version
from sysevent.qemu.process import QemuProcess

NAME = "qemu-system-test"


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """stub(script): put a shell script on PATH as qemu-system-test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(script):
        (folder / NAME).write_text(f"#!/bin/sh\n{script}\n")
        (folder / NAME).chmod(0o755)

    return write


@pytest.fixture
def start(stub, tmp_path):
    """start(script): a QemuProcess that runs the script; closed after the test."""
    running = []

    def run(script, inherit=()):
        stub(script)
        running.append(QemuProcess([NAME, "-arg"], inherit, tmp_path / "qemu.log"))
        return running[-1]

    yield run
    for process in running:
        process.close()


def ended(process):
    assert select.select([process.pidfd], [], [], SOON)[0], "it did not end"
    assert process.ended
    return process


@pytest.mark.parametrize(
    ("script", "crashed", "words"),
    [
        ("exit 0", False, "QEMU ended with exit code 0"),
        ("exit 3", True, "QEMU ended with exit code 3"),
        (
            "echo first; echo 'could not load kernel' >&2; exit 1",
            True,
            "exit code 1; it said: could not load kernel",
        ),
        ("kill -SEGV $$", True, "QEMU was ended by SIGSEGV"),
        ("echo assertion failed >&2; kill -ABRT $$", True, "ended by SIGABRT; it said: assertion failed"),
        ("kill -KILL $$", True, "QEMU was ended by SIGKILL"),
    ],
)
def test_how_it_ended(start, script, crashed, words):
    process = ended(start(script))
    assert process.crashed is crashed
    assert words in process.how_it_ended()


def test_while_it_runs(start):
    process = start("exec sleep 60")
    assert not process.ended
    assert not process.crashed
    assert process.how_it_ended() == "QEMU is running"
    assert not select.select([process.pidfd], [], [], 0)[0]


def test_close_ends_it(start):
    """Also if it ignores every signal that can be ignored; a second close does nothing."""
    process = start("trap '' TERM INT HUP; while :; do sleep 1; done")
    pid = process.pid
    process.close()
    assert process.ended
    assert has_ended(pid)
    process.close()


def test_descriptors_and_arguments(start, tmp_path):
    """The process has its arguments, no input, and no descriptors but those that it is to inherit."""
    read, write = os.pipe()
    other_read, low = os.pipe()
    # Not a number that the shell uses for its script.
    other_write = fcntl.fcntl(low, fcntl.F_DUPFD, 100)
    try:
        fds = "/proc/self/fd"
        process = ended(
            start(
                f"echo hello > {fds}/{write}; echo $@; [ -e {fds}/{other_write} ] || echo closed; cat",
                [write],
            )
        )
        assert select.select([read], [], [], SOON)[0]
        assert os.read(read, 100) == b"hello\n"
    finally:
        for fd in (read, write, other_read, low, other_write):
            os.close(fd)
    process.close()
    assert (tmp_path / "qemu.log").read_text() == "-arg\nclosed\n"


def test_ctrl_c_does_not_reach_it(start):
    """It runs in a session of its own, which a terminal's signals do not reach."""
    process = start("exec sleep 60")
    assert os.getsid(process.pid) == process.pid


def test_not_installed(tmp_path):
    with pytest.raises(ToolMissing, match="qemu-system-nothing is not installed; `sysevent doctor`"):
        QemuProcess(["qemu-system-nothing"], [], tmp_path / "log")
    assert issubclass(ToolMissing, InfrastructureError)


def test_setpriv_is_not_installed(stub, tmp_path, monkeypatch):
    stub("exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ToolMissing, match="setpriv is not installed: it is part of util-linux"):
        QemuProcess([NAME], [], tmp_path / "log")


PARENT = """
import sys, time
from pathlib import Path
from sysevent.qemu.process import QemuProcess
process = QemuProcess(["qemu-system-test"], [], Path(sys.argv[1]))
while not Path(sys.argv[1]).read_text():
    time.sleep(0.005)
print("ready", flush=True)
time.sleep(60)
"""


def test_it_dies_with_its_parent(stub, tmp_path):
    """Also when the parent is killed and has no time to clean up."""
    stub("echo $$; exec sleep 60")
    log = tmp_path / "qemu.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, log], stdout=subprocess.PIPE)
    with parent:
        try:
            assert parent.stdout.readline() == b"ready\n"
            pid = int(log.read_text())
            assert Path(f"/proc/{pid}").exists()
            parent.kill()
            parent.wait(SOON)
            assert has_ended(pid)
        finally:
            parent.kill()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)'", "7.2.22"),
        ("echo 'QEMU emulator version 10.0.2'", "10.0.2"),
        ("echo no such thing", ""),
        ("exit 1", ""),
    ],
)
def test_version(stub, script, found):
    class Arch:
        qemu = NAME

    stub(script)
    assert version.version(Arch()) == found


@pytest.mark.parametrize(
    ("output", "numbers"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", (7, 2, 22)),
        ("QEMU emulator version 10.0.13", (10, 0, 13)),
        ("QEMU emulator version 11.0.0-rc1", (11, 0, 0)),
        ("QEMU emulator version v8", ()),
        ("bash: no such file", ()),
    ],
)
def test_numbers_of_a_version(output, numbers):
    """Numbers can be compared: 10 is newer than 8."""
    assert version.numbers(version.parsed(output)) == numbers


def test_no_version_without_it():
    class Arch:
        qemu = "qemu-system-nothing"

    assert version.version(Arch()) == ""


def test_output_without_end(start, tmp_path):
    """QEMU is not blocked, its log stays small, and the last line is in the reason."""
    process = ended(start("head -c 100000000 /dev/zero | tr '\\0' 'x'; echo; echo last words; exit 1"))
    assert process.how_it_ended() == "QEMU ended with exit code 1; it said: last words"
    assert (tmp_path / "qemu.log").stat().st_size <= 3 << 20


def test_no_open_files_left(stub, tmp_path):
    """Is an error with advice, not a traceback."""
    stub("exit 0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(
            InfrastructureError, match="QEMU cannot be started: Too many open files: raise the limit"
        ):
            QemuProcess([NAME], [], tmp_path / "log")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
