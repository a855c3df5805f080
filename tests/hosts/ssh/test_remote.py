"""The scripts that run on lab machines, in each shell that may be /bin/sh there."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest
from processes import members

from sysevent import wire
from sysevent.hosts.ssh import remote

SOON = 30
SHELLS = (("sh",), ("dash",), ("bash", "--posix"), ("busybox", "sh"), ("zsh", "--emulate", "sh"))


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shell(request):
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"{request.param[0]} is not installed")
    return request.param


@pytest.fixture
def tick():
    """Seconds of the watchdog's interval: longer than any test."""
    return 3600


@pytest.fixture
def start(shell, lab, monkeypatch, tick):
    """start(): the running serve_script(), in a new process group, as under sshd."""
    monkeypatch.setattr(remote, "_TICK", tick)
    folder = lab.there / "sysevent-a b"
    folder.mkdir()
    shutil.copy(lab.vmm, folder / "vmm.1")
    running = []

    def started():
        # A shell cannot trap what was ignored when it started, as it is under nohup. sshd starts one with defaults.
        words = ["env", "--default-signal=HUP,INT,TERM", *shell, "-c", remote.serve_script(str(folder), [1])]
        running.append(
            subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        return running[-1]

    yield started
    for one in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.wait(SOON)
        one.stdin.close()
        one.stdout.close()


@pytest.fixture
def served(start):
    """The running serve_script(), whose VMM answers."""
    running = start()
    assert running.stdout.read(4) == wire.NO_KEY[:4]
    return running


def all_gone(served, lab, seconds=SOON):
    end = time.monotonic() + seconds
    while (members(served.pid) or lab.left()) and time.monotonic() < end:
        time.sleep(0.05)
    return members(served.pid) == [] and lab.left() == []


def test_it_runs(served, lab):
    assert lab.left() == ["sysevent-a b"]
    # The shell, the VMM and the watchdog, which starts after it.
    end = time.monotonic() + SOON
    while len(members(served.pid)) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(members(served.pid)) >= 3


def test_bye(served, lab):
    """BYE ends everything without waiting for the watchdog; the exit code is the VMM's."""
    served.stdin.write(wire.pack(wire.Frame(wire.Kind.BYE, 0, 0, b"")))
    served.stdin.flush()
    assert served.wait(SOON) == 0
    assert lab.left() == []
    assert all_gone(served, lab)


def test_end_of_input(served, lab):
    served.stdin.close()
    assert served.wait(SOON) == 1
    assert all_gone(served, lab)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signals(served, lab, number):
    served.send_signal(number)
    assert served.wait(SOON) == 128 + number
    assert all_gone(served, lab)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_while_it_starts(start, lab, number):
    """It comes from the VMM's first instruction, when the shell may not know yet what it has started."""
    program = lab.there / "sysevent-a b" / "vmm.1"
    program.write_text(f"#!/bin/sh\nkill -{int(number)} $PPID\nexec cat >/dev/null\n")
    program.chmod(0o700)
    running = start()
    assert running.wait(SOON) == 128 + number
    assert all_gone(running, lab)


@pytest.mark.parametrize("tick", [1])
def test_killed(served, lab, tick):
    """After SIGKILL of the shell the watchdog cleans up, which is there once the VMM's number is."""
    number = lab.there / "sysevent-a b" / "pid"
    end = time.monotonic() + SOON
    while not number.exists() and time.monotonic() < end:
        time.sleep(0.01)
    served.kill()
    served.wait(SOON)
    assert all_gone(served, lab)


def test_foreign_process_is_not_killed(served, lab):
    """A process that now has the VMM's number, but does not run in our directory, stays."""
    with subprocess.Popen(["sleep", "60"]) as other:
        number = lab.there / "sysevent-a b" / "pid"
        end = time.monotonic() + SOON
        while not (number.exists() and number.read_text()) and time.monotonic() < end:
            time.sleep(0.01)
        number.write_text(f"{other.pid}\n")
        script = remote.removal_script(str(lab.there / "sysevent-a b"))
        ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=SOON, check=False)
        assert "gone" in ran.stdout.split()
        assert other.poll() is None
        other.kill()
    assert lab.left() == []


@pytest.fixture
def entered(shell, lab, monkeypatch):
    """The process that stands for sshd's, after workdir_script() has created a directory."""
    monkeypatch.setattr(remote, "_TICK", 0.2)
    server = subprocess.Popen(
        ["sh", "-c", '"$@"; read forever', "sh", *shell, "-c", remote.workdir_script(str(lab.there))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdout.readline() == b"\n"
    assert server.stdout.readline().startswith(b"SYSEVENT directory ")
    yield server
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait(SOON)
    server.stdin.close()
    server.stdout.close()


def test_directory_is_deleted_with_the_connection(entered, lab):
    time.sleep(0.5)
    assert len(lab.left()) == 1
    entered.kill()
    entered.wait(SOON)
    assert all_gone(entered, lab)


def test_directory_watch_ends_when_the_vmm_runs(entered, lab):
    (lab.there / lab.left()[0] / "pid").write_text("1")
    end = time.monotonic() + SOON
    while len(members(entered.pid)) > 1 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(members(entered.pid)) == 1
    shutil.rmtree(lab.there / lab.left()[0])
