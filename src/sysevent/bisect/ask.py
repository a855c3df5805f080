"""One kernel booted and asked the selected claims, more than once, so that chance is no answer."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.bisect.outcome import Outcome, boot_failure, decide
from sysevent.bisect.step import Judged, judged
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.terms import Terms
from sysevent.errors import (
    DiskFull,
    GuestLost,
    HarnessError,
    InfrastructureError,
    NotApplicable,
    StepRefused,
    SyseventError,
)
from sysevent.model import Facts, Observation, Status
from sysevent.scenario.steps import Scenario
from sysevent.text import one_line


class Subject(Protocol):
    """A kernel that answers: engine.guest.Guest, or a recorded one."""

    def facts(self) -> Facts: ...

    def observe(self, scenario: Scenario, abi: str) -> Observation: ...

    def close(self) -> None: ...


Boot = Callable[[str, Path], Subject]
"""A subject for a kernel (as --kernel takes it) with a directory for its logs. It boots when first asked."""


class Manner(msgspec.Struct, frozen=True):
    """How every kernel of a bisection is asked."""

    claims: tuple[ExitClaim, ...]
    abi: str = "native"
    boots: int = 2
    terms: Terms = Terms()
    boot_failure_is_bad: bool = False
    all_apply: bool = False  # see outcome.decide


class Asked(msgspec.Struct, frozen=True):
    """What one kernel answered."""

    outcome: Outcome
    reason: str
    facts: Facts | None
    judged: tuple[Judged, ...]
    seconds: dict[str, float]


def ask(boot: Boot, kernel: str, manner: Manner, logs: Path) -> Asked:
    """Boot a kernel as often as the manner says, and decide; boots that disagree decide nothing.

    DiskFull and errors of ours go on to the caller: they say nothing about this kernel.
    """
    seconds = {"boot": 0.0, "ask": 0.0}
    if not manner.claims:
        return Asked(*decide(()), None, (), seconds)
    first: tuple[Facts, tuple[Judged, ...]] | None = None
    for number in range(1, max(1, manner.boots) + 1):
        subject = boot(kernel, logs / f"guest-{number}")
        try:
            begin = time.monotonic()
            try:
                facts = subject.facts()
            except GuestLost as error:
                seconds["boot"] += time.monotonic() - begin
                return _lost(error, number, manner, first, seconds)
            except (DiskFull, HarnessError):
                raise
            except (InfrastructureError, NotApplicable) as error:
                stop_when_full(error)
                return Asked(Outcome.UNKNOWN, one_line(error), None, (), seconds)
            booted = time.monotonic()
            found = tuple(_one(claim, subject, facts, manner) for claim in manner.claims)
            if number == 1:
                seconds |= {"boot": booted - begin, "ask": time.monotonic() - booted}
            else:
                seconds["again"] = seconds.get("again", 0.0) + time.monotonic() - begin
        finally:
            subject.close()
        if first is None:
            first = facts, found
            if decide([one.status for one in found], all_apply=manner.all_apply)[0] is Outcome.UNKNOWN:
                break  # another boot cannot make it known
        elif other := _disagreement(first[1], found):
            return Asked(Outcome.UNKNOWN, other, facts, first[1], seconds)
    assert first is not None
    outcome, reason = decide([one.status for one in first[1]], all_apply=manner.all_apply)
    return Asked(outcome, reason, *first, seconds)


def _lost(
    error: GuestLost,
    number: int,
    manner: Manner,
    first: tuple[Facts, tuple[Judged, ...]] | None,
    seconds: dict[str, float],
) -> Asked:
    """A guest that did not come up. Once it had come up before, that is no failure to boot."""
    if first is not None:
        why = f"boot {number} of the same kernel did not come up: {one_line(error)}"
        return Asked(Outcome.UNKNOWN, why, *first, seconds)
    return Asked(boot_failure(manner.boot_failure_is_bad), f"no boot: {one_line(error)}", None, (), seconds)


def _one(claim: ExitClaim, subject: Subject, facts: Facts, manner: Manner) -> Judged:
    """A claim's verdict; whatever keeps it from being judged is a verdict as well."""
    try:
        claim.require_applicable(facts, manner.terms)
        try:
            seen = subject.observe(claim.asks, manner.abi)
        except StepRefused as error:
            failed = claim.refused(facts, error)
            return _unjudged(
                claim, Status.FAIL if failed else Status.ERROR, failed.reason if failed else error
            )
        return judged(claim, ExitEvidence(facts, seen, manner.terms))
    except NotApplicable as error:
        return _unjudged(claim, Status.SKIP, error)
    except DiskFull:
        raise
    except InfrastructureError as error:
        stop_when_full(error)
        return _unjudged(claim, Status.MISS, error)
    except HarnessError as error:
        return _unjudged(claim, Status.ERROR, error)


def _unjudged(claim: ExitClaim, status: Status, why: SyseventError | str) -> Judged:
    return Judged(claim.test(), claim.says, claim.source, status, one_line(why))


def _disagreement(one: Sequence[Judged], other: Sequence[Judged]) -> str:
    """The first claim on which two boots of one kernel differ, in a sentence; empty when they agree."""
    for before, after in zip(one, other, strict=True):
        if before.status is not after.status:
            return f"unsteady: {before.test} was {before.status} in one boot and {after.status} in another"
    return ""


def stop_when_full(error: BaseException) -> None:
    """DiskFull when that is what an error comes from: it is no property of the kernel under test."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            raise DiskFull(str(error)) from error
        cause = cause.__cause__
