"""Runs programs in guests, one after the other, and a second time in another guest those that fail."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.decode.program import Ended
from sysevent.errors import HarnessError, InfrastructureError
from sysevent.model import Status
from sysevent.peers import outcome
from sysevent.peers.outcome import Outcome, Rules
from sysevent.text import one_line

# Seconds for one program. The slowest, set_memory_region_test, takes 6 to 35 under TCG.
DEADLINE = 180.0


class Case(msgspec.Struct, frozen=True):
    """One program to be run."""

    # For records: "selftests", "kvm-unit-tests".
    suite: str
    name: str
    # Its command line in the guest. Empty: it is not run, for the reason in `outcome`.
    arguments: tuple[str, ...]
    rules: Rules = outcome.SELFTESTS
    # What is known without running it.
    outcome: Outcome | None = None


class Suite(msgspec.Struct, frozen=True):
    """Programs that can run in guests of one architecture."""

    # What they were compiled from.
    source: str
    cases: tuple[Case, ...]
    # With the programs, at their paths in a guest's root: sealed files of the cache.
    archives: tuple[Path, ...]


class Guest(Protocol):
    """A guest in which programs run; it boots for the first one."""

    def run(self, case: Case, seconds: float) -> Ended:
        """Run a program to its end, or kill it after so many seconds. InfrastructureError if the guest is lost."""

    def close(self) -> None:
        """End the guest."""


class Found(msgspec.Struct, frozen=True):
    """What one program gave."""

    case: Case
    outcome: Outcome
    # In how many guests it failed: 2 for a FAIL, 0 otherwise.
    confirmed: int = 0


def run(
    cases: Sequence[Case], guest: Callable[[], Guest], seconds: float = DEADLINE, budget: float = math.inf
) -> Iterator[Found]:
    """Run programs, and yield what each gave; a program that fails is yielded after it was run in a second guest.

    guest: makes a guest that was not used before. A program of which the guest dies is MISS, and so is everything
    behind it once no guest can be started any more. seconds: for each program. budget: seconds after which no further
    program is started: they are MISS.
    """
    end = time.monotonic() + budget
    failed: list[Found] = []
    with contextlib.closing(guest()) as first:
        for case in cases:
            found = Found(case, case.outcome or _one(case, first, seconds, end))
            if found.outcome.status is Status.FAIL:
                failed.append(found)
            else:
                yield found
    if not failed:
        return
    with contextlib.closing(guest()) as second:
        for found in failed:
            seen = outcome.confirmed(found.outcome, _one(found.case, second, seconds, end))
            yield Found(found.case, seen, 2 if seen.status is Status.FAIL else 0)


def _one(case: Case, guest: Guest, seconds: float, end: float) -> Outcome:
    if time.monotonic() >= end:
        return outcome.missed("it was not run: the time for this kernel is over")
    try:
        return outcome.of_program(guest.run(case, seconds), case.rules)
    # An error of this project's own scenarios on a broken kernel says as little about the program.
    except (InfrastructureError, HarnessError) as error:
        return outcome.missed(one_line(error))
