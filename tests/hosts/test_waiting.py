"""A wait for one host ends, also if the host has ended and its output does not."""

import time

import pytest

from sysevent.errors import GuestLost
from sysevent.hosts import waiting
from sysevent.hosts.base import ENDED


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
