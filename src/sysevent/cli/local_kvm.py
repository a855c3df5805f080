"""What this machine's KVM can be asked: one scenario of each family, since a broken KVM is a normal thing to meet.

Some nested hypervisors offer a /dev/kvm that makes VMs and never comes back from KVM_RUN, or refuses ioctls that
every other KVM has. Nothing here is a verdict: it tells which questions will get an answer.
"""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.contract import catalogue
from sysevent.contract.terms import Terms
from sysevent.engine.guest import Guest
from sysevent.errors import (
    HarnessError,
    InfrastructureError,
    NotApplicable,
    SyseventError,
    VcpuStuck,
)
from sysevent.model import Facts, Progress
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings
from sysevent.targets import spec as targets

_HANGS = 2  # families that may hang before the rest is not tried: each costs its deadline


class Answer(enum.StrEnum):
    """How a KVM takes a scenario."""

    ANSWERS = "answers"
    HANGS = "hangs"  # KVM_RUN comes back for a signal, or not even for that
    REFUSES = "refuses"  # an ioctl that must succeed
    UNTRIED = "not tried"


class Tried(msgspec.Struct, frozen=True):
    """One family: scenarios whose names begin alike."""

    family: str  # "hyperv"
    scenarios: int
    answer: Answer
    told: str  # why, when it does not answer


class Trial(msgspec.Struct, frozen=True):
    """What came of trying this machine's KVM with real VMs."""

    refused: str  # why it cannot be asked at all; "" when it can
    release: str  # of the running kernel
    tried: tuple[Tried, ...]
    lacks: tuple[str, ...] = ()  # what the kernel does not offer, and claims are about
    known: int = 0  # scenarios that any claim of this architecture rests on

    @property
    def answered(self) -> int:
        """Scenarios that will get an answer."""
        return sum(family.scenarios for family in self.tried if family.answer is Answer.ANSWERS)

    @property
    def scenarios(self) -> int:
        """Scenarios that some claim rests on which applies to this kernel."""
        return sum(family.scenarios for family in self.tried)


def trial(settings: Settings, progress: Progress = lambda _: None) -> Trial:
    """Run VMs on this machine's own KVM, each under a deadline; half a second where it works.

    A family that hangs costs 10 s, and after two of them the rest is not tried. Progress is told which processes
    not even SIGKILL ended.
    """
    own = next((row for row in targets.builtin() if row.where == "local"), None)
    if own is None:
        return Trial(f"KVM here is of none of {', '.join(ARCHITECTURES)}", "", ())
    own = msgspec.structs.replace(own, boot=min(own.boot, 20))
    with tempfile.TemporaryDirectory(prefix="sysevent-doctor-") as logs:
        guest = Guest(own, settings, Path(logs), progress, lambda _: None, lambda *_: None)
        try:
            facts = guest.facts()
            known = len({claim.asks.name for claim in catalogue.load().exits if claim.arch == own.arch})
            return Trial("", facts.release, tuple(families(guest, facts)), _lacking(facts), known)
        except SyseventError as error:
            return Trial(str(error).splitlines()[0], "", ())
        finally:
            guest.close()


def families(guest: Guest, facts: Facts) -> Iterator[Tried]:
    """Each family of the architecture, tried by its first scenario, as far as this kernel has what it is about."""
    native = guest.arch.abis[0].name
    hung = 0
    for family, scenarios in _families(guest.arch.name, facts).items():
        answer, told = Answer.UNTRIED, f"{hung} families hang"
        if hung < _HANGS:
            answer, told = _try(guest, scenarios[0], native)
            hung += answer is Answer.HANGS
        yield Tried(family, len(scenarios), answer, told)


def _try(guest: Guest, scenario: Scenario, abi: str) -> tuple[Answer, str]:
    try:
        seen = guest.observe(scenario, abi)
    except VcpuStuck as error:
        return Answer.HANGS, str(error).splitlines()[0]
    except (HarnessError, NotApplicable) as error:
        return Answer.REFUSES, str(error).splitlines()[0]
    except InfrastructureError as error:
        return Answer.HANGS, str(error).splitlines()[0]
    kicked = [label for label, raw in seen.exits.items() if raw.kicked and label == "exit"]
    if kicked:
        return Answer.HANGS, f"{scenario.name}: KVM_RUN came back for a signal, not by itself"
    return Answer.ANSWERS, ""


def _families(arch: str, facts: Facts) -> dict[str, list[Scenario]]:
    """Scenarios by family, of those that some claim rests on which applies to this kernel."""
    found: dict[str, dict[str, Scenario]] = {}
    for claim in catalogue.load().exits:
        if claim.arch != arch:
            continue
        try:
            claim.require_applicable(facts, Terms())
        except NotApplicable:
            continue
        found.setdefault(claim.asks.name.split(".")[1], {})[claim.asks.name] = claim.asks
    return {family: list(scenarios.values()) for family, scenarios in found.items()}


def _lacking(facts: Facts) -> tuple[str, ...]:
    """Why claims of this architecture do not apply here, each reason once."""
    reasons: dict[str, None] = {}
    for claim in catalogue.load().exits:
        if claim.arch == facts.arch:
            try:
                claim.require_applicable(facts, Terms())
            except NotApplicable as error:
                reasons[str(error)] = None
    return tuple(reasons)
