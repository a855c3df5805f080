"""Pictures for the page of a history, as shapes that a template draws in SVG. No I/O.

Shapes have classes, not colours: the page's style decides, also in the dark and on paper. A status has its own height,
so that colour is not its only sign.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sysevent.model import Status
from sysevent.report.history.collection import Day
from sysevent.report.history.trend import Trend

# The class of a bar that is a time.
_TIME = "time"
# Units of the view box.
WIDTH, HEIGHT = 720, 132
STRIP_WIDTH, STRIP_HEIGHT = 160, 18
# Around the plot: for numbers at the left, days below.
_LEFT, _BELOW, _ABOVE = 44, 20, 14
_BAD = (Status.FAIL, Status.ERROR, Status.MISS)
# Height of a status in a strip, from 0 to 1.
_HEIGHTS = {
    Status.FAIL: 1.0,
    Status.ERROR: 0.75,
    Status.MISS: 0.55,
    Status.PASS: 0.3,
    Status.DONE: 0.3,
    Status.SKIP: 0.1,
}
# Pieces of a strip; more verdicts share pieces, each with the worst of its statuses.
_PIECES = 80
# Lines across a plot, and days that have a label.
_LINES, _LABELS = 3, 4


class Shape(msgspec.Struct, frozen=True):
    """A rectangle, with the class that it is painted by."""

    x: float
    y: float
    width: float
    height: float
    look: str
    # Shown when the pointer rests on it.
    title: str = ""


class Label(msgspec.Struct, frozen=True):
    """A text at a place; anchor is that of SVG."""

    x: float
    y: float
    text: str
    anchor: str = "end"


class Plot(msgspec.Struct, frozen=True):
    """A bar chart over days."""

    title: str
    bars: tuple[Shape, ...]
    # The height of each line across.
    lines: tuple[float, ...]
    labels: tuple[Label, ...]
    # The classes of the bars, for the legend; empty if there is one kind.
    looks: tuple[str, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT


def not_well(days: Mapping[str, Day]) -> Plot:
    """Return the bars of FAIL, ERROR and MISS by day, one above the other."""
    rows = [[(status.value, float(day.verdicts[status])) for status in _BAD] for day in days.values()]
    return _plot("Verdicts that are not well, by day", list(days), rows)


def seconds(days: Mapping[str, Day]) -> Plot:
    """Return the bars of the mean time that a verdict took, by day, in milliseconds."""
    rows = [[(_TIME, 1000 * day.seconds / max(day.verdicts.total(), 1))] for day in days.values()]
    return _plot("Mean time of a scenario, by day, in ms", list(days), rows)


def _plot(title: str, days: Sequence[str], rows: Sequence[Sequence[tuple[str, float]]]) -> Plot:
    top = _ceiling(max((sum(value for _, value in row) for row in rows), default=0.0))
    space, step = HEIGHT - _BELOW - _ABOVE, (WIDTH - _LEFT) / max(len(rows), 1)
    bars: list[Shape] = []
    for at, (day, row) in enumerate(zip(days, rows, strict=True)):
        below = 0.0
        for look, value in row:
            height = value / top * space
            y = HEIGHT - _BELOW - (below + height)
            if value:
                words = f"{day}: {value:.3g} {look}"
                bars.append(Shape(_LEFT + at * step, y, max(step - 1, 0.6), height, look, words))
            below += height
    lines = [HEIGHT - _BELOW - space * part / _LINES for part in range(_LINES + 1)]
    labels = [Label(_LEFT - 6, y + 4, f"{top * part / _LINES:.3g}") for part, y in enumerate(lines)]
    for at in _spread(len(days), _LABELS):
        anchor = "start" if at == 0 else "end" if at == len(days) - 1 and len(days) > 1 else "middle"
        labels.append(Label(_LEFT + (at + 0.5) * step, HEIGHT - 4, days[at], anchor))
    looks = tuple(dict.fromkeys(bar.look for bar in bars))
    return Plot(title, tuple(bars), tuple(lines), tuple(labels), looks if looks != (_TIME,) else ())


def _ceiling(value: float) -> float:
    """Return the end of the scale: 1, 1.5, 3 or 6 times a power of ten, so that thirds of it are short numbers."""
    if value <= 0:
        return 3.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1.5, 3, 6, 15) if power * step >= value)


def _spread(count: int, most: int) -> list[int]:
    """Return the places of at most so many labels, evenly over count, with the first and the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(at * (count - 1) / (most - 1)) for at in range(most)})


def strip(found: Trend) -> tuple[Shape, ...]:
    """Return the verdicts of a series as a strip: time goes to the right, and what is worse is higher."""
    statuses = [status for _, status in found.series.verdicts()]
    size = max(1, math.ceil(len(statuses) / _PIECES))
    worst = [
        min(statuses[at : at + size], key=lambda status: status.severity)
        for at in range(0, len(statuses), size)
    ]
    step = STRIP_WIDTH / max(len(worst), 1)
    return tuple(_pieces(worst, step))


def _pieces(statuses: Iterable[Status], step: float) -> Iterable[Shape]:
    at = 0
    for status, group in itertools.groupby(statuses):
        count = len(list(group))
        height = _HEIGHTS[status] * STRIP_HEIGHT
        yield Shape(at * step, STRIP_HEIGHT - height, max(count * step, 0.8), height, status.value)
        at += count
