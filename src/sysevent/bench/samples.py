"""Statistics of repeated measurements. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Samples(msgspec.Struct, frozen=True):
    """One quantity, measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return min(self.values), max(self.values)

    def __str__(self) -> str:
        low, high = self.spread
        return f"{self.median:.3g} ({low:.3g}-{high:.3g})"


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> Samples:
    """theirs / ours, pair by pair: a busy machine slows down both runs of a pair. Both have the same length."""
    return Samples(tuple(a / b for a, b in zip(theirs, ours, strict=True)))


def columns(rows: Sequence[dict[str, float]]) -> dict[str, Samples]:
    """Quantity -> its values in the rows of several runs. A row may lack a quantity."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: Samples(tuple(row[name] for row in rows if name in row)) for name in names}
