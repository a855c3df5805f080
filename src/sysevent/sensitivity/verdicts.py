"""What became of a mutant, from the verdicts on it and on the original kernel. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import msgspec

from sysevent.model import Status


class Fate(enum.StrEnum):
    """What became of a mutant."""

    # A claim that does not fail on the original kernel is FAIL.
    KILLED = "killed"
    # No FAIL, but a claim has something to report that it does not report of the original: DONE. With
    # --strict-observed it would be a FAIL.
    NOTICED = "noticed"
    # Every verdict is that of the original kernel, or a SKIP.
    SURVIVED = "survived"
    # No FAIL, and no result either: it does not boot, hangs, or lost its guest. Such a run is not green.
    INCONCLUSIVE = "inconclusive"
    # Its object code is that of the original kernel, or it is in the list by hand.
    EQUIVALENT = "equivalent"
    # Its object code is that of another mutant, which counts for it.
    DUPLICATE = "duplicate"
    # It does not compile or link.
    NOT_BUILT = "not built"


# The fates that the kill rate is about: all kernels that differ from the original, each once.
COUNTED = (Fate.KILLED, Fate.NOTICED, Fate.SURVIVED, Fate.INCONCLUSIVE)


class Verdicts(msgspec.Struct, frozen=True):
    """The verdicts of one run on one kernel."""

    # By claim and ABI: claim for the kernel's own ABI, claim@abi otherwise.
    statuses: dict[str, Status]
    # Build ID of the kernel that answered; "" if none did.
    build_id: str = ""
    # Why the run has not ended, or why nothing was asked. "" if it has ended.
    obstacle: str = ""
    # Seconds.
    seconds: float = 0.0
    # What a user of a real VMM got, in words; {} if that was not asked.
    shown: dict[str, str] = {}


class Result(msgspec.Struct, frozen=True):
    """What became of a mutant, with the claims that say so."""

    fate: Fate
    # One line; of an equivalent or inconclusive mutant, and of one that was not built, the reason. Of one that a real
    # VMM kills, what its user gets instead.
    reason: str = ""
    # Claims that are FAIL.
    killers: tuple[str, ...] = ()
    # Claims that are DONE, and were not on the original kernel.
    noticed: tuple[str, ...] = ()
    # Claims without a result: MISS or ERROR.
    missed: tuple[str, ...] = ()
    # Claims that were judged on the original kernel, and are SKIP.
    skipped: tuple[str, ...] = ()


def judge(original: Mapping[str, Status], mutant: Verdicts) -> Result:
    """Return what became of a mutant that was built and run."""

    def now(*statuses: Status) -> tuple[str, ...]:
        return tuple(
            sorted(
                claim
                for claim, status in mutant.statuses.items()
                if status in statuses and original.get(claim) is not status
            )
        )

    failed, noticed = now(Status.FAIL), now(Status.DONE)
    missed, skipped = now(Status.MISS, Status.ERROR), now(Status.SKIP)
    if failed:
        fate, reason = Fate.KILLED, ""
    elif mutant.obstacle or missed or not mutant.statuses:
        fate = Fate.INCONCLUSIVE
        reason = mutant.obstacle or (f"{len(missed)} claims without a result" if missed else "no verdicts")
    elif noticed:
        fate, reason = Fate.NOTICED, ""
    else:
        fate, reason = Fate.SURVIVED, f"{len(skipped)} claims are skipped" if skipped else ""
    return Result(fate, reason, failed, noticed, missed, skipped)


def unusable(original: Verdicts) -> str:
    """Return why mutants cannot be compared with the original kernel; "" if they can.

    A claim that fails on it shows nothing about a mutant, and is left out; one without a result must not happen.
    """
    missed = [claim for claim, status in original.statuses.items() if status in (Status.MISS, Status.ERROR)]
    if original.obstacle:
        return original.obstacle
    if missed:
        return f"{len(missed)} claims have no result, such as {missed[0]}"
    if not any(status is Status.PASS for status in original.statuses.values()):
        return "no claim holds"
    return ""


class Rate(msgspec.Struct, frozen=True):
    """How many mutants there are of each fate."""

    counts: dict[Fate, int]

    @classmethod
    def of(cls, fates: Iterable[Fate]) -> Rate:
        """Count fates."""
        counts = dict.fromkeys(Fate, 0)
        for fate in fates:
            counts[fate] += 1
        return cls(counts)

    @property
    def counted(self) -> int:
        """Mutants that differ from the original: those that the rate is about."""
        return sum(self.counts[fate] for fate in COUNTED)

    def share(self, *fates: Fate) -> float:
        """Return the share of some fates among the counted mutants, from 0 to 1; 1 if there are none."""
        return sum(self.counts[fate] for fate in fates) / self.counted if self.counted else 1.0
