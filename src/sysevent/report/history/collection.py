"""What a history keeps of each run. No I/O.

A verdict takes five bytes: the number of its point, and its status. Names are stored once. So a history of 1,000 runs
and 300,000 verdicts fits into a few megabytes, however large the logs are.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from sysevent.contract.claim import PREFIX
from sysevent.model import Status
from sysevent.report.history.stream import Judged, Part, RunEnd, RunStart

_STATUSES = tuple(Status)
_NUMBER = {status: number for number, status in enumerate(_STATUSES)}


class Point(msgspec.Struct, frozen=True):
    """One kernel in one run."""

    # Of the run: its id, and its start in UTC, ISO 8601.
    run: str
    start: str
    kernel: str

    @property
    def day(self) -> str:
        """The date of the start: "2026-01-31"."""
        return self.start[:10]


class Series(msgspec.Struct):
    """One claim on one target: the numbers of its points in the order of time, and a status for each."""

    claim: str
    # The target without its kernel, and the VMM's ABI if that is not the native one.
    place: str
    points: array[int] = msgspec.field(default_factory=lambda: array("I"))
    numbers: bytearray = msgspec.field(default_factory=bytearray)
    # Of all verdicts together.
    seconds: float = 0.0

    def add(self, point: int, status: Status, seconds: float) -> None:
        """Append a verdict. If the point has one already, the last counts, as in a run."""
        if self.points and self.points[-1] == point:
            self.numbers[-1] = _NUMBER[status]
            return
        self.points.append(point)
        self.numbers.append(_NUMBER[status])
        self.seconds += seconds

    def verdicts(self) -> Iterator[tuple[int, Status]]:
        """Yield the number of each point with its status."""
        for point, number in zip(self.points, self.numbers, strict=True):
            yield point, _STATUSES[number]

    @property
    def last(self) -> Status:
        """The status of the newest verdict."""
        return _STATUSES[self.numbers[-1]]

    @property
    def counts(self) -> dict[Status, int]:
        """Number of verdicts by status, the worst status first; only of statuses that there are."""
        found = Counter(self.numbers)
        return {status: found[number] for number, status in enumerate(_STATUSES) if found[number]}


class Day(msgspec.Struct):
    """What the runs of one day have in common."""

    runs: int = 0
    # Runs without an end: they were killed.
    unfinished: int = 0
    verdicts: Counter[Status] = msgspec.field(default_factory=Counter)
    seconds: float = 0.0


class History(msgspec.Struct):
    """Many runs, in the order of their starts."""

    points: list[Point] = []
    series: dict[tuple[str, str], Series] = {}
    # By date.
    days: dict[str, Day] = {}

    @property
    def runs(self) -> int:
        """Number of runs."""
        return sum(day.runs for day in self.days.values())

    @property
    def total(self) -> int:
        """Number of verdicts."""
        return sum(len(one.numbers) for one in self.series.values())


def collect(runs: Iterable[Iterable[Part]]) -> History:
    """Return the history of runs, which are given in the order of their starts, each with its beginning first."""
    history = History(points=[], series={}, days={})
    for run in runs:
        _add(history, run)
    return history


def _add(history: History, run: Iterable[Part]) -> None:
    start, day, ended = RunStart(id="", start="", schema=0), Day(), False
    numbers: dict[str, int] = {}
    for part in run:
        if isinstance(part, RunStart):
            start = part
            day = history.days.setdefault(start.start[:10], Day())
            day.runs += 1
        elif isinstance(part, RunEnd):
            ended = True
        else:
            number = numbers.get(part.kernel)
            if number is None:
                number = numbers[part.kernel] = len(history.points)
                history.points.append(Point(start.id, start.start, part.kernel))
            _series(history, part).add(number, part.status, part.seconds)
            day.verdicts[part.status] += 1
            day.seconds += part.seconds
    day.unfinished += not ended


def _series(history: History, judged: Judged) -> Series:
    target = judged.target.partition("@")[0]
    place = target if judged.native or not judged.abi else f"{target}-{judged.abi}"
    key = (judged.test, place)
    found = history.series.get(key)
    if found is None:
        found = history.series[key] = Series(judged.test.removeprefix(f"{PREFIX}."), place)
    return found
