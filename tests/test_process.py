"""Child processes that end with their parent, or when their time is over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import SOON, has_ended, stat

from sysevent.errors import InfrastructureError, ToolMissing
from sysevent.process import die_with_parent, with_time_limit

PARENT = """
import subprocess, sys, time
from sysevent.process import die_with_parent, with_time_limit
command = ["sh", "-c", "echo $$; exec sleep 60"]
subprocess.Popen(die_with_parent(command) if sys.argv[1] == "die" else with_time_limit(command, 60))
time.sleep(60)
"""


@pytest.fixture
def parent():
    """parent(manner): a process with a child, and the child's id; manner is "die" or "limit"."""
    running = []

    def start(manner):
        process = subprocess.Popen([sys.executable, "-c", PARENT, manner], stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in running:
        process.kill()
        process.wait(SOON)
        process.stdout.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_die_with_parent(parent, end):
    """Also when the parent is killed and has no time to clean up."""
    process, child = parent("die")
    assert Path(f"/proc/{child}").exists()
    process.send_signal(end)
    assert process.wait(SOON) == -end
    assert has_ended(child)


def test_with_time_limit_survives_the_parent(parent):
    process, child = parent("limit")
    process.kill()
    process.wait(SOON)
    time.sleep(0.2)
    limiter = int(stat(child)[1])
    assert Path(f"/proc/{limiter}/comm").read_text() == "timeout\n"
    # The command dies with its limiter, so that the test leaves no process behind.
    os.kill(limiter, signal.SIGKILL)
    assert has_ended(child)


def test_with_time_limit_ends_the_command():
    """After one second the command is killed."""
    begin = time.monotonic()
    run = subprocess.run(with_time_limit(["sleep", "60"], 1), timeout=SOON, check=False)
    assert run.returncode == -signal.SIGKILL
    assert 0.9 < time.monotonic() - begin < SOON


def test_exit_codes_and_arguments_are_passed_on():
    for command in (["sh", "-c", "exit $1", "sh", "7"], ["sh", "-c", 'exit "${2#-}"', "-", "--", "-7"]):
        assert subprocess.run(die_with_parent(command), check=False).returncode == 7
        assert subprocess.run(with_time_limit(command, 60), check=False).returncode == 7


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ([], "timeout is not installed: it is part of coreutils"),
        (["timeout"], "setpriv is not installed: it is part of util-linux"),
    ],
)
def test_a_missing_program(tmp_path, monkeypatch, installed, words):
    for name in installed:
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=words):
        with_time_limit(["true"], 60)
    assert issubclass(ToolMissing, InfrastructureError)
