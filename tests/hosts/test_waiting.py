"""Deadlines: counted by the clock, as long as this process runs."""

import pytest

from sysevent.errors import GuestLost
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
