"""Boots one kernel and asks it the selected claims, more than once, so that an unstable result is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.arches import NATIVE, resolve_abi
from sysevent.bisect.outcome import Outcome, boot_failure, decide
from sysevent.bisect.step import JudgedClaim, judged_claim
from sysevent.contract import catalogue
from sysevent.contract.confirmation import Agreement, Sighting, of_mismatches, sighting
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.log_claim import LogClaim, LogEvidence, ScenarioLog
from sysevent.contract.terms import Terms
from sysevent.engine.question import Key
from sysevent.errors import (
    DISK_FULL,
    DiskFull,
    GuestDistrusted,
    GuestLost,
    HarnessError,
    InfrastructureError,
    NotApplicable,
    StepRefused,
    SyseventError,
)
from sysevent.model import Facts, KernelLog, Observation, Status
from sysevent.options import DEFAULT_BOOTS
from sysevent.scenario.steps import Scenario
from sysevent.text import one_line

# Boots in which a claim must fail before the kernel is bad.
_BOOTS_OF_FAIL = 2


class KernelUnderTest(Protocol):
    """A kernel that answers: engine.asker.Asker, or a fake with recorded answers."""

    def facts(self) -> Facts: ...

    def observe(self, scenario: Scenario, abi: str) -> Observation: ...

    def kernel_logs(self) -> Sequence[tuple[Key, KernelLog]]: ...

    def close(self) -> None: ...


Boot = Callable[[str, Path], KernelUnderTest]
"""Opens a kernel, as --kernel takes it, with a directory for its logs. It boots when it is first asked."""


class Procedure(msgspec.Struct, frozen=True):
    """How every kernel of a bisection is asked, and how its answers are judged."""

    claims: tuple[ExitClaim | LogClaim, ...]
    # Of the VMM.
    abi: str = NATIVE
    boots: int = DEFAULT_BOOTS
    terms: Terms = Terms()
    # True: a kernel that does not boot is bad, not UNKNOWN.
    boot_failure_is_bad: bool = False
    # See outcome.decide.
    all_apply: bool = False


class KernelResult(msgspec.Struct, frozen=True):
    """The outcome of one kernel, with the verdicts that it rests on."""

    outcome: Outcome
    # One line.
    reason: str
    # None if it did not boot.
    facts: Facts | None
    # Of the first boot.
    judged: tuple[JudgedClaim, ...]
    # Seconds by activity: boot, ask, and again for the boots after the first.
    seconds: dict[str, float]


def ask(boot: Boot, kernel: str, procedure: Procedure, logs: Path) -> KernelResult:
    """Boot a kernel as often as the procedure says; boots that disagree make the outcome UNKNOWN.

    A claim that fails is asked in a second boot at least, as in a run: see contract/confirmation.py.
    DiskFull is raised, and so is a HarnessError before the first claim: they say nothing about this kernel.
    """
    seconds = {"boot": 0.0, "ask": 0.0}
    if not procedure.claims:
        return KernelResult(*decide(()), None, (), seconds)
    first: tuple[Facts, tuple[JudgedClaim, ...]] | None = None
    boots, number = max(1, procedure.boots), 0
    while number < boots:
        number += 1
        opened = boot(kernel, logs / f"guest-{number}")
        try:
            begin = time.monotonic()
            try:
                facts = opened.facts()
            except (DiskFull, HarnessError):
                raise
            except (InfrastructureError, NotApplicable) as error:
                seconds["boot"] += time.monotonic() - begin
                return _no_facts(error, number, procedure, first, seconds)
            booted = time.monotonic()
            found = tuple(_one(claim, opened, facts, procedure) for claim in procedure.claims)
            if number == 1:
                seconds |= {"boot": booted - begin, "ask": time.monotonic() - booted}
            else:
                seconds["again"] = seconds.get("again", 0.0) + time.monotonic() - begin
        finally:
            opened.close()
        if first is None:
            first = facts, found
            boots = _boots(found, procedure)
        elif other := _another_kernel(first[0], facts) or _disagreement(first[1], found):
            return KernelResult(Outcome.UNKNOWN, other, facts, first[1], seconds)
    assert first is not None
    outcome, reason = decide([one.status for one in first[1]], all_apply=procedure.all_apply)
    return KernelResult(outcome, reason, *first, seconds)


def _boots(found: Sequence[JudgedClaim], procedure: Procedure) -> int:
    """The number of boots after the verdicts of the first one: no other can change UNKNOWN, and BAD needs a second."""
    outcome, _ = decide([one.status for one in found], all_apply=procedure.all_apply)
    if outcome is Outcome.UNKNOWN:
        return 1
    return max(procedure.boots, _BOOTS_OF_FAIL if outcome is Outcome.BAD else 1)


def _no_facts(
    error: InfrastructureError | NotApplicable,
    number: int,
    procedure: Procedure,
    first: tuple[Facts, tuple[JudgedClaim, ...]] | None,
    seconds: dict[str, float],
) -> KernelResult:
    """The result of a kernel that reported no facts in a boot.

    It did not boot if its guest was lost, unless the guest was ill, or an earlier boot succeeded.
    """
    raise_if_disk_full(error)
    if not isinstance(error, GuestLost) or isinstance(error, GuestDistrusted):
        return KernelResult(Outcome.UNKNOWN, one_line(error), None, (), seconds)
    if first is not None:
        why = f"boot {number} of the same kernel failed, boot 1 did not: {one_line(error)}"
        return KernelResult(Outcome.UNKNOWN, why, *first, seconds)
    return KernelResult(
        boot_failure(procedure.boot_failure_is_bad), f"no boot: {one_line(error)}", None, (), seconds
    )


def _one(
    claim: ExitClaim | LogClaim, opened: KernelUnderTest, facts: Facts, procedure: Procedure
) -> JudgedClaim:
    """The verdict on a claim; an error that prevents a judgement becomes SKIP, MISS or ERROR."""
    try:
        if isinstance(claim, LogClaim):
            return judged_claim(claim, _log(claim, opened, facts, procedure))
        return judged_claim(
            claim,
            sighting(
                claim, facts, procedure.terms, lambda: opened.observe(claim.asks, claim.abi or procedure.abi)
            ),
        )
    except NotApplicable as error:
        return _unjudged(claim, Status.SKIP, error)
    except DiskFull:
        raise
    except InfrastructureError as error:
        raise_if_disk_full(error)
        return _unjudged(claim, Status.MISS, error)
    except HarnessError as error:
        return _unjudged(claim, Status.ERROR, error)


def _log(claim: LogClaim, opened: KernelUnderTest, facts: Facts, procedure: Procedure) -> Sighting:
    """The verdict on what the kernel logged around all scenarios that apply to it, facts and controls included.

    The error of a scenario without an answer is raised, unless another one made KVM warn.
    """
    missing: SyseventError | None = None
    abi = resolve_abi(claim.arch, procedure.abi)
    for asked in catalogue.load().applicable(claim.arch, abi, facts, procedure.terms):
        try:
            opened.observe(asked.asks, asked.abi or abi)
        except (StepRefused, NotApplicable):
            # The claim itself is judged by it. What the kernel logged is there all the same.
            pass
        except (InfrastructureError, HarnessError) as error:
            raise_if_disk_full(error)
            missing = missing or error
    logs = opened.kernel_logs()
    of_scenarios = tuple(ScenarioLog(key.scenario, key.abi, log) for key, log in logs)
    found = LogEvidence(facts, of_scenarios, terms=procedure.terms)
    claim.require_applicable(found)
    verdict = claim.judge(found)
    if missing is not None and verdict.status is not Status.FAIL:
        raise missing
    return Sighting(verdict, found)


def _unjudged(claim: ExitClaim | LogClaim, status: Status, why: SyseventError | str) -> JudgedClaim:
    return JudgedClaim(claim.test(), claim.says, claim.source, status, one_line(why))


def _another_kernel(one: Facts, other: Facts) -> str:
    """Say that two boots were of different kernels; "" if they were not."""
    if one.identity == other.identity:
        return ""
    return f"the kernel's files changed between two boots: {one.identity}, then {other.identity}"


def _disagreement(one: Sequence[JudgedClaim], other: Sequence[JudgedClaim]) -> str:
    """The first claim on which two boots of one kernel differ, in a sentence; "" if they agree."""
    for before, after in zip(one, other, strict=True):
        if before.status is not after.status:
            return (
                f"unstable: {before.test} was {before.status} in one boot ({before.reason}) and {after.status} in "
                f"another ({after.reason})"
            )
        # Only failures by what an exit gave, as in a run.
        failed = before.status is Status.FAIL and before.observation and after.observation
        if failed and of_mismatches([before.mismatches, after.mismatches]) is Agreement.NONE:
            return (
                f"unstable: {before.test} failed in one boot ({before.reason}), and at another place in another "
                f"({after.reason})"
            )
    return ""


def raise_if_disk_full(error: BaseException) -> None:
    """Raise DiskFull if an error was caused by a full disk, which says nothing about the kernel under test."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            raise DiskFull(str(error)) from error
        cause = cause.__cause__
