"""Whether this machine's KVM answers: one scenario of each family is run.

Some nested hypervisors offer a /dev/kvm that creates VMs and never returns from KVM_RUN, or refuses ioctls that every
other KVM has. Nothing here is a verdict: it tells which scenarios will get an answer.
"""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.contract import catalogue
from sysevent.contract.terms import Terms
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import (
    HarnessError,
    InfrastructureError,
    NotApplicable,
    SyseventError,
    VcpuStuck,
)
from sysevent.hosts import openers
from sysevent.model import Facts, Observation, Progress
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings
from sysevent.targets import spec as targets
from sysevent.targets.spec import TargetSpec

# Families that may hang before the rest is left out. Each costs its deadline.
_HANGS = 2
# Seconds until the VMM must have answered for the first time.
_FIRST_ANSWER = 20


class Respondent(Protocol):
    """What answers scenarios: an engine.asker.Asker of the target `local`."""

    def facts(self) -> Facts: ...

    def observe(self, scenario: Scenario, abi: str) -> Observation: ...

    def close(self) -> None: ...


class Opener(Protocol):
    """Opens a target; it is asked nothing yet."""

    def __call__(
        self, target: TargetSpec, settings: Settings, logs: Path, progress: Progress
    ) -> Respondent: ...


class Behaviour(enum.StrEnum):
    """How a KVM takes a scenario."""

    ANSWERS = "answers"
    # KVM_RUN returns because of a signal, or not even then.
    HANGS = "hangs"
    # An ioctl fails that must succeed.
    REFUSES = "refuses"
    UNTRIED = "not tried"


class Family(msgspec.Struct, frozen=True):
    """One family, which is the scenarios whose names begin alike, and how it was taken."""

    # Such as "hyperv".
    name: str
    scenarios: int
    behaviour: Behaviour
    # Why it does not answer; "" if it does.
    reason: str


class Trial(msgspec.Struct, frozen=True):
    """The result of running VMs on this machine's KVM."""

    # Why it cannot be asked at all; "" if it can.
    refused: str
    # Of the running kernel, as uname -r says it.
    release: str
    families: tuple[Family, ...]
    # Why claims do not apply here, each reason once.
    left_out: tuple[str, ...] = ()
    # Number of scenarios that any claim of this architecture is about.
    known: int = 0

    @property
    def answered(self) -> int:
        """Number of scenarios that will get an answer."""
        return sum(one.scenarios for one in self.families if one.behaviour is Behaviour.ANSWERS)

    @property
    def scenarios(self) -> int:
        """Number of scenarios of the claims that apply to this kernel."""
        return sum(one.scenarios for one in self.families)


def _open(target: TargetSpec, settings: Settings, logs: Path, progress: Progress) -> Respondent:
    listeners = Listeners(progress, lambda _: None, lambda *_: None)
    return Asker(target, openers.opener(target, settings), settings, logs, listeners)


def local_target() -> TargetSpec | None:
    """The target `local`; None if this machine's architecture is not supported."""
    return next((row for row in targets.builtin() if row.name == "local"), None)


def trial(
    target: TargetSpec | None, settings: Settings, progress: Progress, *, opener: Opener = _open
) -> Trial:
    """Run VMs on a target, this machine's own KVM, each with a deadline. It takes half a second if KVM works.

    A family that hangs costs 10 s, and after two of them the rest is not tried. progress is given the processes
    that SIGKILL did not end.
    """
    if target is None:
        return Trial(f"this machine's architecture is none of {', '.join(ARCHITECTURES)}", "", ())
    target = msgspec.structs.replace(target, boot=min(target.boot, _FIRST_ANSWER))
    with tempfile.TemporaryDirectory(prefix="sysevent-doctor-") as logs:
        opened = opener(target, settings, Path(logs), progress)
        try:
            facts = opened.facts()
            known = len({claim.asks.name for claim in catalogue.load().exits if claim.arch == target.arch})
            return Trial("", facts.release, tuple(_families(opened, facts)), _inapplicable(facts), known)
        except SyseventError as error:
            return Trial(_first_line(error), "", ())
        finally:
            opened.close()


def _families(respondent: Respondent, facts: Facts) -> Iterator[Family]:
    """Each family that applies to this kernel, tried by its first scenario."""
    native = ARCHITECTURES[facts.arch].abis[0].name
    hung = 0
    for family, scenarios in _scenarios(facts).items():
        behaviour, reason = Behaviour.UNTRIED, f"{hung} families hang"
        if hung < _HANGS:
            behaviour, reason = _try(respondent, scenarios[0], native)
            hung += behaviour is Behaviour.HANGS
        yield Family(family, len(scenarios), behaviour, reason)


def _try(respondent: Respondent, scenario: Scenario, abi: str) -> tuple[Behaviour, str]:
    try:
        seen = respondent.observe(scenario, abi)
    except VcpuStuck as error:
        return Behaviour.HANGS, _first_line(error)
    except (HarnessError, NotApplicable) as error:
        return Behaviour.REFUSES, _first_line(error)
    except InfrastructureError as error:
        return Behaviour.HANGS, _first_line(error)
    if "exit" in seen.exits and seen.exits["exit"].kicked:
        return Behaviour.HANGS, f"{scenario.name}: KVM_RUN returned only because of a signal"
    return Behaviour.ANSWERS, ""


def _first_line(error: SyseventError) -> str:
    return str(error).splitlines()[0]


def _scenarios(facts: Facts) -> dict[str, list[Scenario]]:
    """Scenarios by family, of the claims that apply to this kernel."""
    found: dict[str, dict[str, Scenario]] = {}
    for claim in catalogue.load().exits:
        if claim.arch != facts.arch:
            continue
        try:
            claim.require_applicable(facts, Terms())
        except NotApplicable:
            continue
        found.setdefault(claim.asks.name.split(".")[1], {})[claim.asks.name] = claim.asks
    return {family: list(scenarios.values()) for family, scenarios in found.items()}


def _inapplicable(facts: Facts) -> tuple[str, ...]:
    """Why claims of this architecture do not apply here, each reason once."""
    reasons: dict[str, None] = {}
    for claim in catalogue.load().exits:
        if claim.arch == facts.arch:
            try:
                claim.require_applicable(facts, Terms())
            except NotApplicable as error:
                reasons[str(error)] = None
    return tuple(reasons)
