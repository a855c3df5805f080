"""What became of one claim on one target: since when it fails, when it last held, and how steady it is. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.model import Status
from sysevent.report.history.collection import Point, Series

# Verdicts that say something about the kernel; the others are gaps.
_DECIDED = (Status.PASS, Status.FAIL)


class KernelCount(msgspec.Struct, frozen=True):
    """The verdicts of one series on one kernel."""

    kernel: str
    # Day of the first and of the last.
    first: str
    last: str
    counts: dict[Status, int]

    @property
    def flaky(self) -> bool:
        """Whether the same kernel passed and failed."""
        return all(self.counts.get(status) for status in _DECIDED)


class Trend(msgspec.Struct, frozen=True):
    """The story of one series."""

    series: Series
    # The newest verdict that decided something; None if there is none.
    now: Status | None
    # Of the failure that is there now, or else of the last one that was: the verdict before it that passed, its first
    # one, and the verdict after it that passed. None if there is none.
    last_good: Point | None
    first_bad: Point | None
    repaired: Point | None
    # How often PASS followed FAIL or FAIL followed PASS.
    changes: int
    # How many of the kernels that were asked several times both passed and failed, of how many.
    flaky: int
    repeated: int
    kernels: tuple[KernelCount, ...]

    @property
    def mean_seconds(self) -> float:
        """Mean time of a scenario, in seconds."""
        return self.series.seconds / max(len(self.series.numbers), 1)


def trend(series: Series, points: Sequence[Point]) -> Trend:
    """Return the story of a series; points: those of its history."""
    decided = [(points[number], status) for number, status in series.verdicts() if status in _DECIDED]
    changed = [at for at in range(1, len(decided)) if decided[at][1] != decided[at - 1][1]]
    last_bad = max((at for at, (_, status) in enumerate(decided) if status is Status.FAIL), default=None)
    last_good = first_bad = repaired = None
    if last_bad is not None:
        begin = max((at for at in changed if at <= last_bad), default=0)
        first_bad = decided[begin][0]
        last_good = decided[begin - 1][0] if begin else None
        repaired = decided[last_bad + 1][0] if last_bad + 1 < len(decided) else None
    kernels = _kernels(series.verdicts(), points)
    repeated = [one for one in kernels if sum(one.counts.get(status, 0) for status in _DECIDED) > 1]
    return Trend(
        series=series,
        now=decided[-1][1] if decided else None,
        last_good=last_good,
        first_bad=first_bad,
        repaired=repaired,
        changes=len(changed),
        flaky=sum(one.flaky for one in repeated),
        repeated=len(repeated),
        kernels=kernels,
    )


def _kernels(verdicts: Iterable[tuple[int, Status]], points: Sequence[Point]) -> tuple[KernelCount, ...]:
    """Return the counts on each kernel, in the order in which kernels were first asked."""
    days: dict[str, list[str]] = {}
    counts: dict[str, Counter[Status]] = {}
    for number, status in verdicts:
        point = points[number]
        days.setdefault(point.kernel, []).append(point.day)
        counts.setdefault(point.kernel, Counter())[status] += 1
    return tuple(
        KernelCount(kernel, min(days[kernel]), max(days[kernel]), dict(counts[kernel])) for kernel in days
    )


def order(found: Trend) -> tuple[int, int, int, str, str]:
    """Return a key that sorts what needs attention to the front: failing now, flaky, failed before, never decided."""
    return (
        0 if found.now is Status.FAIL else 1,
        -found.flaky,
        -found.series.counts.get(Status.FAIL, 0),
        found.series.claim,
        found.series.place,
    )
