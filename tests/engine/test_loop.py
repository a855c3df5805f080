"""Waiting for one target, while others go on."""

import os
import time

import pytest
from fakes import LOST, scenario

from sysevent.engine.loop import Loop
from sysevent.errors import GuestLost


class Background:
    """Something that goes on, and takes its time for it."""

    def __init__(self, bell, seconds=0.0):
        self.bell, self.seconds, self.attended = bell, seconds, []

    def sources(self):
        return [self.bell]

    def attend(self, awaited):
        self.attended.append(awaited)
        time.sleep(self.seconds)


class Awaited:
    """Is there after so many looks; each one takes a wait."""

    def __init__(self, looks, limit=10.0):
        self.looks, self.limit = looks, limit
        self.calls = []

    def sources(self):
        return []

    def begin_wait(self):
        self.end = time.monotonic() + self.limit
        self.calls.append("begin")

    def advance(self):
        self.looks -= 1
        self.calls.append("advance")

    def check(self):
        self.calls.append("check")
        if time.monotonic() > self.end:
            raise LOST

    def timeout(self):
        return 0.01

    def done(self):
        return self.looks <= 0


@pytest.fixture
def bell():
    """A descriptor that is readable."""
    found = os.eventfd(1)
    yield found
    os.close(found)


def test_what_is_there_is_not_waited_for(bell):
    loop, awaited = Loop(), Awaited(1)
    loop.background = Background(bell)
    loop.wait(awaited, awaited.done)
    assert awaited.calls == ["begin", "advance"]
    assert loop.background.attended == []


def test_the_others_go_on_meanwhile(bell):
    loop, awaited = Loop(), Awaited(4)
    loop.background = Background(bell)
    loop.wait(awaited, awaited.done)
    assert loop.background.attended == [awaited] * 3
    assert awaited.calls == ["begin", "advance", *["check", "advance"] * 3]


def test_others_that_take_their_time(bell):
    """What arrived meanwhile counts, though the deadline has passed."""
    loop, awaited = Loop(), Awaited(2, limit=0.05)
    loop.background = Background(bell, 0.1)
    loop.wait(awaited, awaited.done)


def test_what_never_comes_ends_at_its_deadline(bell):
    """Though something else always has something to say."""
    loop, awaited = Loop(), Awaited(10**9, limit=0.05)
    loop.background = Background(bell)
    begin = time.monotonic()
    with pytest.raises(GuestLost):
        loop.wait(awaited, awaited.done)
    assert time.monotonic() - begin < 5


def test_what_goes_on_meanwhile_must_not_wait(bell):
    loop = Loop()

    class Waits(Background):
        def attend(self, awaited):
            loop.wait(Awaited(1), lambda: True)

    loop.background = Waits(bell)
    awaited = Awaited(2)
    with pytest.raises(AssertionError, match="a wait within a wait"):
        loop.wait(awaited, awaited.done)
    loop.background = Background(bell)
    loop.wait(Awaited(1), lambda: True)


def test_nothing_is_awaited(bell):
    loop = Loop()
    loop.background = Background(bell)
    loop.wait_in_background(lambda: len(loop.background.attended) == 3, 0.01)
    assert loop.background.attended == [None] * 3


def test_one_target_alone(world):
    """Without any others."""
    world.loop = Loop()
    assert world.asker(world.opener()).observe(scenario("x86_64.a"))
