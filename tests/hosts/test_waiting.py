"""Deadlines are counted by the clock, as long as this process runs; a wait ends, also if a host's output does not."""

import time

import pytest

from sysevent.errors import GuestLost
from sysevent.hosts import waiting
from sysevent.hosts.base import ENDED
from sysevent.hosts.waiting import Wait


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Silent:
    """A host that is healthy and sends nothing."""

    has_deadlines = True

    def failure(self):
        return None

    def loss(self, what):
        return GuestLost(what)


@pytest.fixture
def wait():
    """wait(gaps): a wait with a limit of 20 s that is checked after each of these gaps, in seconds."""

    def run(gaps):
        clock = Clock()
        found = Wait(Silent(), clock)
        for gap in gaps:
            clock.now += gap
            found.check(20)
        return found.seconds

    return run


def test_a_deadline_passes(wait):
    with pytest.raises(GuestLost, match="silent: no answer within 20 s"):
        wait([5] * 5)


def test_a_process_that_was_stopped(wait):
    """Ctrl-Z, or a suspended machine: the guest was stopped as well, or its answer is read first. It gets its time."""
    assert wait([5, 3600, 5, 90, 5]) == 15


def test_time_goes_on_after_a_stop(wait):
    with pytest.raises(GuestLost):
        wait([5, 3600, 5, 5, 6])


def test_checks_are_frequent():
    """So that a long gap between two of them means that the process was stopped."""
    clock = Clock()
    found = Wait(Silent(), clock)
    assert found.timeout(20) == 5
    clock.now += 19
    assert found.timeout(20) == 1


class Flood:
    """A host that has ended, and whose output another process goes on to write."""

    has_deadlines = False
    hello_timeout = 60.0

    def __init__(self, pieces):
        # How often something arrives after the end.
        self.pieces = pieces

    def listen(self):
        self.pieces -= 1
        return self.pieces >= 0

    def sources(self):
        return []

    def hello(self):
        return None

    def failure(self):
        return ENDED

    def loss(self, what):
        return GuestLost(what)


def test_output_after_the_end_without_end(monkeypatch):
    """It is taken in for a limited time."""
    monkeypatch.setattr(waiting, "_LAST_OUTPUT", 0.2)
    begin = time.monotonic()
    with pytest.raises(GuestLost):
        waiting.hello(Flood(10**12))
    assert 0.2 <= time.monotonic() - begin < 5


def test_output_after_the_end():
    """What is there is taken in before the host counts as lost."""
    host = Flood(20)
    with pytest.raises(GuestLost):
        waiting.hello(host)
    assert host.pieces < 0
