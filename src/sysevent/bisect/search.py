"""What is searched: a history that knows which revision to try next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.errors import SyseventError


class HistoryDoesNotFit(SyseventError):
    """The answers cannot come from one change between good and bad; the message says how."""


class Place(msgspec.Struct, frozen=True):
    """Where a search stands."""

    revision: str | None  # to try next; None: nothing is left to try
    suspects: tuple[str, ...] = ()  # at the end: one revision, or all that could not be told apart
    left: int = 0  # revisions between good and bad
    steps: int = 0  # roughly, still to do


class Search(Protocol):
    """Revisions between a good and a bad one."""

    def start(self) -> Place:
        """Begin, both ends being known. HistoryDoesNotFit when bad does not come after good."""

    def mark(self, revision: str, outcome: Outcome) -> Place:
        """Take in what a revision is; HistoryDoesNotFit when that cannot be."""

    def title(self, revision: str) -> str:
        """What a person knows it by."""

    def before(self, revision: str) -> tuple[str, ...]:
        """The revisions directly before one."""


class Line:
    """A list in order, such as a distribution's releases: first is good, last is bad."""

    def __init__(self, revisions: Sequence[str], titles: dict[str, str]) -> None:
        self._revisions = list(revisions)
        self._titles = titles
        self._good, self._bad = 0, len(self._revisions) - 1
        self._unknown: set[int] = set()

    def start(self) -> Place:
        if len(self._revisions) < 2:
            raise HistoryDoesNotFit("there is nothing between good and bad")
        return self._place()

    def mark(self, revision: str, outcome: Outcome) -> Place:
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
        return self._place()

    def _place(self) -> Place:
        between = range(self._good + 1, self._bad)
        open_ = [at for at in between if at not in self._unknown]
        if not open_:
            suspects = tuple(self._revisions[self._good + 1 : self._bad + 1])
            return Place(None, suspects)
        middle = (self._good + self._bad) / 2
        # The closest to the middle: what lies beside one that cannot be told is as good as any.
        choice = min(open_, key=lambda at: (abs(at - middle), at))
        return Place(self._revisions[choice], left=len(between) // 2, steps=len(between).bit_length())

    def title(self, revision: str) -> str:
        return self._titles.get(revision, "")

    def before(self, revision: str) -> tuple[str, ...]:
        at = self._revisions.index(revision)
        return (self._revisions[at - 1],) if at else ()
