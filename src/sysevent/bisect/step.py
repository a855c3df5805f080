"""What was found out about one revision, as values that go into a file and come back."""

from __future__ import annotations

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.model import Facts, Mismatch, Observation, Status
from sysevent.report import records


class Evidence(msgspec.Struct, frozen=True):
    """The observation of a verdict: the fields of an `observation` record without its target."""

    scenario: str
    arch: str
    abi: str
    exits: dict[str, records.Exit]
    answers: dict[str, records.Answer]
    symbols: dict[str, int]

    @classmethod
    def of(cls, seen: Observation) -> Evidence:
        """Return the recorded form of an observation."""
        record = records.Observation.of("", seen)
        return cls(**{name: getattr(record, name) for name in cls.__struct_fields__})

    def seen(self) -> Observation:
        """Return the observation that was recorded."""
        return records.Observation(target="", **msgspec.structs.asdict(self)).seen()


class Judged(msgspec.Struct, frozen=True):
    """One claim on one kernel, with the bytes that it was judged by."""

    test: str
    says: str
    source: str
    status: Status
    reason: str
    mismatches: tuple[Mismatch, ...] = ()
    observation: Evidence | None = None

    @property
    def seen(self) -> Observation | None:
        return self.observation.seen() if self.observation else None


def judged(claim: ExitClaim, evidence: ExitEvidence) -> Judged:
    """The verdict on what a kernel answered, to be kept."""
    verdict = claim.judge(evidence)
    return Judged(
        verdict.test,
        claim.says,
        claim.source,
        verdict.status,
        verdict.reason,
        verdict.mismatches,
        Evidence.of(evidence.seen),
    )


class Step(msgspec.Struct, frozen=True):
    """One revision, tried."""

    revision: str  # a commit's hash, or a package's version
    title: str  # for people: the commit's subject, or the kernel's release
    outcome: Outcome
    reason: str
    kernel: str = ""  # uname -r
    facts: Facts | None = None
    judged: tuple[Judged, ...] = ()
    seconds: dict[str, float] = {}  # by what took them
    notes: tuple[str, ...] = ()
    tools: dict[str, str] = {}  # what built and asked: compiler, QEMU, VMM
    logs: str = ""

    @property
    def first(self) -> Judged | None:
        """The claim that tells most: the first that failed, else the first."""
        failed = [one for one in self.judged if one.status is Status.FAIL]
        return next(iter([*failed, *self.judged]), None)
