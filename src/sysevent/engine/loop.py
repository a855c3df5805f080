"""The one loop in which this process waits for targets: for one of them, while all others go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sysevent.hosts.waiting import until_readable


class Awaited(Protocol):
    """What is waited for. None of this waits by itself."""

    def sources(self) -> list[int]:
        """File descriptors that become readable when advance() has something to take in."""

    def begin_wait(self) -> None:
        """Count deadlines from now."""

    def advance(self) -> None:
        """Take in what has arrived, and send what can be sent. May raise what ends the wait."""

    def check(self) -> None:
        """Raise what stands against waiting any longer: a loss, or a deadline that has passed."""

    def timeout(self) -> float:
        """Seconds until check() must be called again, even if nothing arrives."""


class Background(Protocol):
    """What goes on meanwhile."""

    def sources(self) -> list[int]:
        """File descriptors that become readable when attend() has something to do."""

    def attend(self, awaited: Awaited | None) -> None:
        """Do what can be done without waiting, but not for what is awaited. Raises no SyseventError."""


class Loop:
    """Waits for one target at a time; never from within itself."""

    def __init__(self) -> None:
        self.background: Background | None = None
        self._waiting = False

    def wait(self, awaited: Awaited, done: Callable[[], bool]) -> None:
        """Return when done() is True; raise what advance() and check() raise.

        AssertionError when called by what goes on meanwhile: that must not wait.
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

    def wait_in_background(self, done: Callable[[], bool], step: float) -> None:
        """Return when done() is True, which is looked at every step seconds at least."""
        while not done():
            until_readable(self._sources(), step)
            self._attend(None)

    def _sources(self) -> list[int]:
        return self.background.sources() if self.background else []

    def _attend(self, awaited: Awaited | None) -> None:
        if self.background:
            self.background.attend(awaited)
