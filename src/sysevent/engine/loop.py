"""The one loop in which this process waits for targets: for one of them, while all others are served."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sysevent.hosts.waiting import until_readable

# Seconds, in which a guest answers few of the scenarios that it has at a time.
_MOMENT = 0.01


class Awaited(Protocol):
    """The target that is waited for. None of these methods waits."""

    def sources(self) -> list[int]:
        """File descriptors that become readable when advance() has something to take in."""

    def begin_wait(self) -> None:
        """Count deadlines from now."""

    def advance(self) -> None:
        """Take in what has arrived, and send what can be sent. A SyseventError ends the wait."""

    def check(self) -> None:
        """Raise GuestLost if the host is lost or a deadline has passed; see Host.loss() for other errors."""

    def timeout(self) -> float:
        """Seconds until check() must be called again, even if nothing arrives."""


class Background(Protocol):
    """The targets that are served during a wait for another one."""

    def sources(self) -> list[int]:
        """File descriptors that become readable when attend() has something to do."""

    def attend(self, awaited: Awaited | None) -> None:
        """Do what can be done without waiting, except for the awaited target. Raises no SyseventError."""


class Loop:
    """Waits for one target at a time. A wait within a wait is an error."""

    def __init__(self) -> None:
        self.background: Background | None = None
        self._waiting = False
        # The time (time.monotonic()) when all targets were served last.
        self._attended = 0.0

    def wait(self, awaited: Awaited, done: Callable[[], bool]) -> None:
        """Return when done() is True; raise what advance() and check() raise.

        AssertionError if called from the background, which must not wait.
        """
        assert not self._waiting, "a wait within a wait"
        self._waiting = True
        try:
            self._wait(awaited, done)
        finally:
            self._waiting = False

    def _wait(self, awaited: Awaited, done: Callable[[], bool]) -> None:
        awaited.begin_wait()
        awaited.advance()
        while not done():
            awaited.check()
            until_readable([*awaited.sources(), *self._sources()], awaited.timeout())
            self._attend(awaited)
            # After the others: however long they took, what has arrived by now counts.
            awaited.advance()

    def attend(self) -> None:
        """Serve all targets once, without waiting; unless that was done a moment ago."""
        if time.monotonic() - self._attended > _MOMENT:
            self._attend(None)

    def wait_in_background(self, done: Callable[[], bool], step: float) -> None:
        """Return when done() is True; done() is called every step seconds at least."""
        while not done():
            until_readable(self._sources(), step)
            self._attend(None)

    def _sources(self) -> list[int]:
        return self.background.sources() if self.background else []

    def _attend(self, awaited: Awaited | None) -> None:
        if self.background:
            self.background.attend(awaited)
            self._attended = time.monotonic()
