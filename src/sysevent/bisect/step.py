"""What was found about one revision, as values that are written to a file and read back."""

from __future__ import annotations

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.contract.confirmation import Sighting
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.log_claim import LogClaim
from sysevent.model import Facts, Mismatch, Observation, Status
from sysevent.report import records
from sysevent.report.recorded_observation import Answer, Exit, Log


class Evidence(msgspec.Struct, frozen=True):
    """The observation of a verdict: the fields of an `observation` record without its target."""

    scenario: str
    arch: str
    abi: str
    exits: dict[str, Exit]
    answers: dict[str, Answer]
    symbols: dict[str, int]
    log: Log = Log()

    @classmethod
    def of(cls, seen: Observation) -> Evidence:
        """Return the recorded form of an observation."""
        record = records.Observation.of("", seen)
        return cls(**{name: getattr(record, name) for name in cls.__struct_fields__})

    def seen(self) -> Observation:
        """Return the observation that was recorded."""
        return records.Observation(target="", **msgspec.structs.asdict(self)).seen()


class JudgedClaim(msgspec.Struct, frozen=True):
    """The verdict on one claim for one kernel, with the bytes that it was judged by."""

    test: str
    says: str
    source: str
    status: Status
    reason: str
    mismatches: tuple[Mismatch, ...] = ()
    observation: Evidence | None = None

    @property
    def seen(self) -> Observation | None:
        """The observation that was judged; None if the claim could not be asked, or is about headers."""
        return self.observation.seen() if self.observation else None


def judged_claim(claim: ExitClaim | LogClaim, sighting: Sighting) -> JudgedClaim:
    """The verdict on what a kernel answered, with the observation if there is one."""
    verdict, evidence = sighting.verdict, sighting.evidence
    return JudgedClaim(
        verdict.test,
        claim.says,
        claim.source,
        verdict.status,
        verdict.reason,
        verdict.mismatches,
        Evidence.of(evidence.seen) if isinstance(evidence, ExitEvidence) else None,
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
