"""A claim, a kernel's facts and an observation make a verdict. No I/O: all of it runs on recorded exits."""

from __future__ import annotations

from dataclasses import dataclass

from sysevent.abi.capabilities import Capability
from sysevent.contract import kernel_release
from sysevent.contract.checks import Check
from sysevent.contract.claim import Claim, Contract, Need
from sysevent.errors import HarnessError, NotApplicable, StepRefused
from sysevent.model import Facts, Level, Mismatch, Observation, Status, Verdict

_DATA = Capability.SYSTEM_EVENT_DATA


# No msgspec.Struct as the other values: that one would bring a != of its own.
@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """A claim as it applies to one kernel; it equals an observation that leaves nothing to object to."""

    claim: Claim
    contract: Contract
    checks: tuple[Check, ...]
    strict: bool = False  # a change of what was only observed fails, too
    lacks: tuple[Need, ...] = ()  # what the kernel owes, by its release or a floor, and does not have

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Observation):
            return NotImplemented
        return judge(self, other).status is not Status.FAIL

    __hash__ = None  # type: ignore[assignment]


def contract(facts: Facts, minimum: tuple[int, int] = (0, 0)) -> Contract:
    """Which contract a kernel is judged by: the new one when it says so or when it must."""
    says_so = any(facts.capabilities.get(name, 0) > 0 for name in (_DATA.on_system, _DATA.on_vm))
    must = kernel_release.held_to(facts.release, minimum) >= kernel_release.EVENT_DATA
    return Contract.DATA if says_so or must else Contract.FLAGS


def bind(
    claim: Claim, facts: Facts, *, minimum: tuple[int, int] = (0, 0), strict: bool = False
) -> Expectation:
    """What a claim means for a kernel.

    NotApplicable when the kernel lacks what the claim is about and its release need not have it. A kernel
    that must have it is judged all the same: then the claim fails, and says so.
    """
    held_to = kernel_release.held_to(facts.release, minimum)
    for need in claim.needs:
        if not need.met(facts) and (need.since is None or held_to < need.since):
            raise NotApplicable(need.why_not(facts))
    which = contract(facts, minimum)
    checks = claim.checks if which is Contract.DATA or claim.before is None else claim.before
    lacks = tuple(need for need in claim.needs if not need.met(facts))
    return Expectation(claim, which, checks, strict, lacks)


def refused(expectation: Expectation, error: StepRefused) -> Verdict | None:
    """FAIL for a kernel that refuses to set up what it owes and lacks; None when the refusal has no such reason."""
    if not expectation.lacks:
        return None
    claim, need = expectation.claim, expectation.lacks[0]
    since = ".".join(map(str, need.since or ()))
    told = f"this kernel must have {need.words}, as v{since} does, and refuses it: {error}"
    return Verdict(claim.test, Status.FAIL, claim.level, told)


def judge(expectation: Expectation, seen: Observation) -> Verdict:
    """The verdict, with every mismatch behind it.

    A broken promise is FAIL. Behaviour that is only observed and has changed is DONE with a note, and FAIL
    only when the expectation is strict. HarnessError when the observation is another scenario's.
    """
    claim = expectation.claim
    if seen.scenario != claim.scenario:
        raise HarnessError(f"{claim.name} is about {claim.scenario}, and was compared with {seen.scenario}")
    wrong: list[Mismatch] = []
    for check in expectation.checks:
        found = check.mismatches(seen)
        wrong += found
        if found and check.gate:
            break
    if not wrong:
        words = claim.says
        if expectation.contract is Contract.FLAGS and claim.before is not None:
            words += f" Judged by the old contract: {Contract.FLAGS}."
        return Verdict(claim.test, Status.PASS, claim.level, words)
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    told = f"{first.what}: got {first.got}, expected {first.expected}{more}"
    if claim.level is Level.OBSERVED and not expectation.strict:
        note = f"Behaviour that nobody promised has changed: {told}. {claim.says}"
        return Verdict(claim.test, Status.DONE, claim.level, note, tuple(wrong))
    return Verdict(claim.test, Status.FAIL, claim.level, f"{told}. {claim.says}", tuple(wrong))
