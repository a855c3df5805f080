"""Repeated measurements as what a reader needs of them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Samples(msgspec.Struct, frozen=True):
    """One quantity, measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most."""
        return min(self.values), max(self.values)

    def __str__(self) -> str:
        low, high = self.spread
        return f"{self.median:.3g} ({low:.3g}-{high:.3g})"


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> Samples:
    """How many times faster we are, run by run: a busy machine slows down both halves of a pair."""
    return Samples(tuple(a / b for a, b in zip(theirs, ours, strict=True)))


def columns(rows: Sequence[dict[str, float]]) -> dict[str, Samples]:
    """Measurements of several runs, by quantity; one that a run lacks is left out of it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: Samples(tuple(row[name] for row in rows if name in row)) for name in names}
