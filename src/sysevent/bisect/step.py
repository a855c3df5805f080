"""What was found about one revision, as values that are written to a file and read back."""

from __future__ import annotations

from typing import Any

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.contract.judge import Expectation, judge
from sysevent.model import Facts, Mismatch, Observation, Status
from sysevent.report import recorded


class JudgedClaim(msgspec.Struct, frozen=True):
    """The verdict on one claim for one kernel, with the bytes that it was judged by."""

    test: str
    says: str
    source: str
    status: Status
    reason: str
    mismatches: tuple[Mismatch, ...] = ()
    # As report/recorded.py writes it.
    observation: dict[str, Any] | None = None

    @property
    def seen(self) -> Observation | None:
        """The observation that was judged; None if the claim could not be asked, or is about headers."""
        return recorded.read_observation(self.observation) if self.observation else None


def judged_claim(expectation: Expectation, seen: Observation) -> JudgedClaim:
    """The verdict on an observation, with the observation."""
    claim, verdict = expectation.claim, judge(expectation, seen)
    return JudgedClaim(
        claim.test,
        claim.says,
        claim.source,
        verdict.status,
        verdict.reason,
        verdict.mismatches,
        recorded.observation(seen),
    )


class Step(msgspec.Struct, frozen=True):
    """The result of trying one revision."""

    # A commit's hash, or a package's version.
    revision: str
    # The commit's subject, or the kernel's release.
    title: str
    outcome: Outcome
    reason: str
    # As uname -r says it.
    kernel: str = ""
    facts: Facts | None = None
    judged: tuple[JudgedClaim, ...] = ()
    # Seconds by activity: checkout, build, boot, ask…
    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    # Versions of the programs used: compiler, QEMU, VMM.
    tools: dict[str, str] = {}
    logs: str = ""

    @property
    def first(self) -> JudgedClaim | None:
        """The first claim that failed, else the first claim; None if there is none."""
        failed = [one for one in self.judged if one.status is Status.FAIL]
        return next(iter([*failed, *self.judged]), None)
