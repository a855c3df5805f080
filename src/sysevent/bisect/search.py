"""Histories that can be searched: each chooses which revision to try next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.errors import SyseventError


class HistoryDoesNotFit(SyseventError):
    """One change between good and bad cannot explain the outcomes; the message says why."""


class Position(msgspec.Struct, frozen=True):
    """How far a search has come."""

    # The revision to try next; None if none is left.
    revision: str | None
    # At the end: the first revision behind the change, or all that may be it.
    suspects: tuple[str, ...] = ()
    # Revisions that are left between the ends after this one.
    left: int = 0
    # Steps that are left after this one, roughly.
    steps: int = 0


class Search(Protocol):
    """Revisions between a good and a bad one."""

    @property
    def repaired(self) -> bool:
        """True if the good end is the later one, so that the first good commit is searched for."""

    def start(self) -> Position:
        """The first position, with both ends known. HistoryDoesNotFit if neither end comes after the other."""

    def mark(self, revision: str, outcome: Outcome) -> Position:
        """The position after the outcome of a revision; HistoryDoesNotFit if it contradicts earlier ones."""

    def title(self, revision: str) -> str:
        """The name of a revision for the user: a commit's subject, or a kernel's release."""

    def before(self, revision: str) -> tuple[str, ...]:
        """The revisions directly before one: the parents of a commit."""


class ReleaseList:
    """Revisions in a list, such as a distribution's releases, of which the first is good and the last is bad."""

    # A list is searched in the direction that it has.
    repaired = False

    def __init__(self, revisions: Sequence[str], titles: dict[str, str]) -> None:
        self._revisions = list(revisions)
        self._titles = titles
        self._good, self._bad = 0, len(self._revisions) - 1
        self._unknown: set[int] = set()

    def start(self) -> Position:
        if len(self._revisions) < 2:
            raise HistoryDoesNotFit("there is no revision between good and bad")
        return self._position()

    def mark(self, revision: str, outcome: Outcome) -> Position:
        at = self._revisions.index(revision)
        if outcome is Outcome.GOOD:
            self._good = max(self._good, at)
        elif outcome is Outcome.BAD:
            self._bad = min(self._bad, at)
        else:
            self._unknown.add(at)
        if self._good >= self._bad:
            raise HistoryDoesNotFit(
                f"{self._revisions[self._good]} is good and {self._revisions[self._bad]}, before it, bad"
            )
        return self._position()

    def _position(self) -> Position:
        between = range(self._good + 1, self._bad)
        untried = [at for at in between if at not in self._unknown]
        if not untried:
            suspects = tuple(self._revisions[self._good + 1 : self._bad + 1])
            return Position(None, suspects)
        middle = (self._good + self._bad) / 2
        # The closest to the middle, among those that have not been tried.
        choice = min(untried, key=lambda at: (abs(at - middle), at))
        return Position(self._revisions[choice], left=len(between) // 2, steps=len(between).bit_length() - 1)

    def title(self, revision: str) -> str:
        return self._titles.get(revision, "")

    def before(self, revision: str) -> tuple[str, ...]:
        at = self._revisions.index(revision)
        return (self._revisions[at - 1],) if at else ()
