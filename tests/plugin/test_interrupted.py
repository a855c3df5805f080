"""Runs that a signal ends: in order, with every record that they had."""

import os
import signal
import time

import pytest
from processes import SOON

from sysevent.plugin.interrupts import pytest_keyboard_interrupt

ONE = ["--arch", "arm64", "-k", "test_arm64 and not written"]
WAITS = {"arm64.psci.reset2": "waits"}
OTHER_END = {signal.SIGINT: signal.SIGTERM}


@pytest.fixture
def interrupted(runs):
    """interrupted(name, signals, ...): a run that gets these signals while it asks its third claim."""

    def run(name, signals, *arguments, group=False, delay=0.3):
        begun = runs.locks(name).with_suffix(".begun")
        process = runs.start(name, *ONE, *arguments, breaks=WAITS, begun=str(begun))
        end = time.monotonic() + 30
        while not begun.exists():
            assert process.poll() is None, runs[name].out
            assert time.monotonic() < end
            time.sleep(0.01)
        for number in signals:
            os.killpg(process.pid, number) if group else process.send_signal(number)
            time.sleep(delay)
        begin = time.monotonic()
        found = runs[name]
        assert time.monotonic() - begin < 4 * SOON
        return found

    return run


def is_complete(found, reason):
    """Whether a run has its first verdicts, its end with the reason, and the exit code of an interrupted one."""
    assert found.code == 2, found.out
    statuses = found.statuses()
    assert statuses["test_arm64[arm64-tcg-psci.off]"] == "PASS"
    assert statuses["test_arm64[arm64-tcg-psci.reset]"] == "PASS"
    assert len(statuses) == 2
    (end,) = found.records("end")
    assert (end["exit"], end["reason"], end["counts"]) == (2, reason, {"PASS": 2})
    assert "claims by target" in found.out
    assert "Traceback" not in found.out
    return True


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_every_signal(interrupted, name):
    assert is_complete(interrupted(name, [signal.Signals[name]]), name)


def test_a_second_ctrl_c(interrupted):
    """Also a third one, and at once: the end is the same."""
    assert is_complete(interrupted("twice", [signal.SIGINT] * 4, delay=0.02), "SIGINT")


@pytest.mark.parametrize(
    ("name", "group"), [("SIGINT", True), ("SIGTERM", False), ("SIGHUP", True), ("SIGHUP", False)]
)
def test_several_processes(interrupted, name, group):
    """A terminal sends a signal to all of them, `kill` to the first one."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")
    found = interrupted(f"workers-{name}-{group}", [signal.Signals[name]], "-n", "2", group=group)
    assert is_complete(found, name)


def test_the_frame_that_is_kept_is_visible():
    """pytest ends with an AssertionError if it has none, as with pytest.exit(), which hides its own."""
    with pytest.raises(pytest.exit.Exception) as found:
        pytest.exit("the disk is full")
    pytest_keyboard_interrupt(found)
    (kept,) = found.traceback
    assert kept.name == "test_the_frame_that_is_kept_is_visible"
