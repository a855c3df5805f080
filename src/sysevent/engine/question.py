"""The scenarios that are run on a target, each by a VMM of one ABI.

The states of one of them, in order; not every one passes through all:
planned      A Question of the plan; or one of the facts.
prefetched   Queued as a Request, although nothing waits for its answer yet.
required     Queued before those that are prefetched, since an answer is waited for.
in flight    Sent; its reply has not arrived.
provisional  Its answer has arrived, and counts once the guest has passed a control (controls.py).
answered     Its observation, or the error, is stored under its Key. After a lost guest it is required again instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from sysevent.arches import NATIVE
from sysevent.model import Facts
from sysevent.scenario.steps import Scenario


class Key(msgspec.Struct, frozen=True):
    """Key of a remembered observation."""

    # The name of the scenario.
    scenario: str
    # The name of the ABI in arches/abis.py, never "native".
    abi: str


class Question(msgspec.Struct, frozen=True):
    """One scenario for a VMM of one ABI."""

    scenario: Scenario
    abi: str = NATIVE
    # False: its observation is passed to no listener.
    recorded: bool = True


Plan = Callable[[Facts], Iterable[Question]]
"""Called once, when the facts of a target are known; returns every question that will be asked about it."""
