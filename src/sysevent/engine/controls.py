"""Which answers of a guest count: those after which it has passed a control. No I/O.

A control (scenario/control.py) is due at the start of a session, after every doubtful answer, after _EVERY requests,
and at the end of a burst. Answers arrive in order, so a control that passes proves all that arrived before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from sysevent.arches import Abi
from sysevent.errors import (
    BadWire,
    EventUnasked,
    GuestDistrusted,
    GuestIll,
    GuestLost,
    HarnessError,
    NoKvm,
    StepRefused,
    SyseventError,
    VcpuStuck,
)
from sysevent.model import Observation
from sysevent.scenario.control import Control, type_of_event
from sysevent.scenario.steps import Scenario, Wait

# Requests after which a control is due, so that the first answers of a long burst need not wait for its end.
_EVERY = 32
# Milliseconds. A Wait that the watchdog ended is expensive if it was allowed to take longer.
_EXPENSIVE_MS = 500
# Expensive answers in a row after which those behind are not waited for.
_MAX_EXPENSIVE = 2
# After an expensive answer of a well guest, a Wait takes at most as long as so many controls like the one that it has
# passed then, and not less than _PATIENCE_MS: on a kernel whose events do not come, every scenario would take its whole
# watchdog, a hundred times 3 s. A scenario takes one to fifteen times as long as a control on the same machine.
_CONTROLS = 100
_PATIENCE_MS = 1000
# Ill guests of one target after which it is asked nothing more, unless one scenario explains them.
_MAX_ILL = 2


class Asked(Protocol):
    """The part of a request of the pipeline that is used here."""

    @property
    def scenario(self) -> Scenario:
        """What was asked."""

    @property
    def abi(self) -> Abi:
        """The ABI of the VMM."""


def is_doubtful(answer: Observation | SyseventError) -> bool:
    """Whether an answer may mean that the guest is ill: a vCPU or a worker was ended by a watchdog, or has died."""
    if isinstance(answer, Observation):
        return any(raw.kicked for raw in answer.exits.values())
    return isinstance(answer, VcpuStuck | BadWire | HarnessError) and not isinstance(answer, StepRefused)


def expense(scenario: Scenario, answer: Observation | SyseventError) -> int:
    """How much an answer shows that each further one may take seconds: 0 to _MAX_EXPENSIVE.

    KVM_RUN of an ill guest never returns, so that every scenario takes its whole watchdog. A sound kernel can need
    the watchdog once in a while, but a signal always ends its KVM_RUN.
    """
    if isinstance(answer, VcpuStuck):
        return _MAX_EXPENSIVE
    if not isinstance(answer, Observation):
        return 0
    return int(
        any(
            isinstance(step, Wait)
            and step.milliseconds > _EXPENSIVE_MS
            and step.label in answer.exits
            and answer.exits[step.label].kicked
            for step in scenario.steps
        )
    )


AskedT = TypeVar("AskedT", bound=Asked)


class Provisional(msgspec.Struct, Generic[AskedT], frozen=True):
    """An answer that counts once a control has passed."""

    request: AskedT
    answer: Observation | SyseventError


class Controls(Generic[AskedT]):
    """The controls of one session: when the next one is due, and the answers that wait for it."""

    def __init__(self, name: str, control: Control) -> None:
        """name: of the target, for messages."""
        # The answers since the last control that passed, in order.
        self.waiting: list[Provisional[AskedT]] = []
        self._name = name
        self._control = control
        self._due = True
        # Number of controls in flight.
        self._in_flight = 0
        # Requests sent since the last control was.
        self._unproven = 0
        self._expense = 0
        # Milliseconds that a Wait takes at most from now on; None: as many as its scenario says.
        self.patience: int | None = None

    def is_control(self, request: Asked) -> bool:
        """Whether a request is a control."""
        return request.scenario is self._control.scenario

    def due(self, *, end_of_burst: bool) -> bool:
        """Whether a control must be sent before any other request. end_of_burst: True if no request is queued."""
        return self._due or self._unproven >= _EVERY or (end_of_burst and self._unproven > 0)

    def sent(self, request: Asked) -> None:
        """Count a request that was sent."""
        control = self.is_control(request)
        self._in_flight += control
        self._due = self._due and not control
        # A program takes seconds, so its answer must not wait for those of others.
        alone = _EVERY if request.scenario.runs_programs else 1
        self._unproven = 0 if control else self._unproven + alone

    def answered(self, request: AskedT, answer: Observation | SyseventError, behind: int) -> None:
        """Keep an answer until a control has passed.

        behind: number of requests in flight that are no controls. GuestDistrusted if they would probably take their
        whole watchdogs, one after the other.
        """
        self.waiting.append(Provisional(request, answer))
        # A control in flight was sent after this request.
        self._due = self._due or (is_doubtful(answer) and not self._in_flight)
        spent = expense(request.scenario, answer)
        self._expense = self._expense + spent if spent else 0
        if behind and self._expense >= _MAX_EXPENSIVE:
            raise GuestDistrusted(
                f"{self._name}: a vCPU was stuck in {request.scenario.name}, with {behind} scenarios waiting behind "
                "it: another guest is asked, one scenario at a time"
            )

    def judge(
        self, answer: Observation | SyseventError, seconds: float = 0.0
    ) -> Iterator[Provisional[AskedT]]:
        """Yield the answers that count because of this answer to a control; each waits until it is yielded.

        seconds: what the control took. GuestIll if the control failed, EventUnasked if by an event; NoKvm and GuestLost
        if that was the answer.
        """
        self._in_flight -= 1
        if isinstance(answer, NoKvm | GuestLost):
            raise answer
        why = str(answer) if isinstance(answer, SyseventError) else self._control.fault(answer)
        if why:
            names = [kept.request.scenario.name for kept in self.waiting]
            when = f"after {names[-1]}" if names else "before any other scenario"
            more = f", which {len(names) - 1} others preceded" if len(names) > 1 else ""
            reason = f"{self._name}: the guest is ill, it failed its control {when}{more}: {why}"
            if isinstance(answer, Observation) and type_of_event(answer) is not None:
                raise EventUnasked(reason, answer)
            raise GuestIll(reason)
        self._expense = 0
        if any(expense(kept.request.scenario, kept.answer) for kept in self.waiting):
            self.patience = max(_PATIENCE_MS, round(seconds * 1000 * _CONTROLS))
        while self.waiting:
            yield self.waiting.pop(0)


Suspect = tuple[str, str]
"""The name of a scenario, and that of the ABI of the VMM that ran it."""


def suspect(request: Asked) -> Suspect:
    """The name by which a request can be blamed for an illness."""
    return request.scenario.name, request.abi.name


class IllGuests:
    """The ill guests of one target, and which scenarios ran in them since their last good control."""

    def __init__(self) -> None:
        self._reasons: dict[Suspect, list[str]] = {}
        # Scenarios that made two guests ill.
        self._blamed: set[Suspect] = set()
        # Why each guest was ill, of those that no scenario explains.
        self._errors: list[GuestIll] = []

    def add(self, suspects: Sequence[Suspect], error: GuestIll) -> None:
        """Record an ill guest. A scenario that was alone in it, and was in another one as well, explains both."""
        for one in suspects:
            self._reasons.setdefault(one, []).append(str(error))
        if len(suspects) == 1 and len(self._reasons[suspects[0]]) > 1:
            self._blamed.add(suspects[0])
            self._errors.clear()
        else:
            self._errors.append(error)

    @property
    def hopeless(self) -> GuestIll | None:
        """Why nothing more should be asked: a second guest was ill, and one scenario does not explain it; or None.

        EventUnasked only if every guest gave an event, and of the same type.
        """
        if len(self._errors) < _MAX_ILL:
            return None
        types = {_type_of_event(error) for error in self._errors}
        alike = len(types) == 1 and None not in types
        return self._errors[-1] if alike else GuestIll(str(self._errors[-1]))

    def blame(self, one: Suspect) -> str:
        """Why a scenario is not asked once more: the reasons of both guests; "" if it may be."""
        return "; then, in another guest: ".join(self._reasons[one]) if one in self._blamed else ""


def _type_of_event(error: GuestIll) -> int | None:
    """The type of the event that a guest gave unasked; None if it gave none."""
    if not isinstance(error, EventUnasked) or not isinstance(error.seen, Observation):
        return None
    return type_of_event(error.seen)
