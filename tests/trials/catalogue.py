"""Every fault that the tests inject: its name, how it is injected, and whether it may cost a verdict."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from trials.trial import Outcome, Trial

Inject = Callable[[Trial, random.Random], None]


class Fault(msgspec.Struct, frozen=True):
    """One kind of fault."""

    name: str
    # How it is injected, in a sentence for the table in the documentation.
    how: str
    inject: Inject
    # True: the verdicts and the exit code must be those of a clean run. False: verdicts may be missing, or MISS.
    same: bool = True
    # What else a verdict may be instead.
    instead: frozenset[str] = frozenset()
    # What it disturbs: the module that it is in. Two faults of one kind are not combined.
    kind: str = ""
    # Why it cannot be injected here; None: it can.
    obstacle: Callable[[], str] | None = None
    # True: it takes more than ten seconds, so that it is only injected by hand.
    slow: bool = False
    # What else must not be in the outcome: what is wrong, in sentences.
    check: Callable[[Outcome], list[str]] | None = None


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    how: str,
    *,
    same: bool = True,
    instead: frozenset[str] = frozenset(),
    obstacle: Callable[[], str] | None = None,
    slow: bool = False,
    check: Callable[[Outcome], list[str]] | None = None,
) -> Callable[[Inject], Inject]:
    """Register the decorated function as the injection of a fault."""

    def register(inject: Inject) -> Inject:
        assert name not in FAULTS, name
        FAULTS[name] = Fault(name, how, inject, same, instead, inject.__module__, obstacle, slow, check)
        return inject

    return register
