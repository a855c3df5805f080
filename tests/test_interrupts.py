"""Signals that end this process in order."""

import os
import signal
import subprocess
import sys

import pytest
from processes import SOON

from sysevent import interrupts
from sysevent.interrupts import Interrupted, Interrupts


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def handled():
    """handled(number, seconds): what a signal leads to that many seconds after the one before."""
    clock, codes = Clock(), []
    found = Interrupts(clock, codes.append)

    def handle(number, later=0.0):
        clock.now += later
        try:
            found.handle(number, None)
        except Interrupted as error:
            return str(error)
        return codes.pop() if codes else None

    handle.found = found
    return handle


def test_the_first_signal_raises(handled):
    assert handled(signal.SIGHUP) == "SIGHUP"
    assert (handled.found.reason, handled.found.exit_code) == ("SIGHUP", 129)


def test_a_second_one_at_once_changes_nothing(handled):
    """The first one is still on its way."""
    handled(signal.SIGINT)
    assert handled(signal.SIGINT, 0.1) is None
    assert handled(signal.SIGTERM, 0.1) is None
    assert handled.found.reason == "SIGINT"


def test_a_second_one_later_raises_again(handled):
    """The first one may have been lost where exceptions are ignored."""
    handled(signal.SIGINT)
    assert handled(signal.SIGTERM, 3) == "SIGINT"


def test_while_the_process_ends(handled):
    """No signal raises, and after a long time one ends the process at once."""
    handled(signal.SIGINT)
    handled.found.held = True
    assert handled(signal.SIGINT, 3) is None
    assert handled(signal.SIGTERM, 30) == 143


def test_a_signal_at_the_end_is_only_noted(handled):
    handled.found.held = True
    assert handled(signal.SIGTERM) is None
    assert handled.found.reason == "SIGTERM"


def test_handlers_are_restored():
    before = [signal.getsignal(number) for number in interrupts.ENDING]
    with interrupts.in_order() as outer, interrupts.in_order() as inner:
        assert inner is outer
        assert all(signal.getsignal(number) == outer.handle for number in interrupts.ENDING)
    assert [signal.getsignal(number) for number in interrupts.ENDING] == before
    assert interrupts.reason() == ""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_what_is_ignored_stays_ignored(name):
    """As under nohup, and for a background job of a script."""
    script = (
        f"import os, signal; from sysevent import interrupts; "
        f"w = interrupts.in_order(); w.__enter__(); os.kill(os.getpid(), signal.{name}); print('goes on')"
    )
    before = signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, timeout=SOON * 4, check=False
        )
    finally:
        signal.signal(getattr(signal, name), before)
    assert done.stdout.split() == [b"goes", b"on"]
    assert os.WEXITSTATUS(done.returncode) == 0
