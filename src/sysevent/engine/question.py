"""What is asked of a target: scenarios, each for a VMM of one ABI."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from sysevent.model import Facts
from sysevent.scenario.steps import Scenario


class Key(msgspec.Struct, frozen=True):
    """Under which an observation is remembered."""

    # The name of the scenario.
    scenario: str
    # The name of the ABI in arches.py, never "native".
    abi: str


class Question(msgspec.Struct, frozen=True):
    """One scenario for a VMM of one ABI."""

    scenario: Scenario
    abi: str = "native"
    # False: its observation is passed to no listener.
    recorded: bool = True


Plan = Callable[[Facts], Iterable[Question]]
"""Called once, when the facts of a target are known: every question that will be asked of it."""
