"""The matrix that ends a run: claim by target, rendered from run.jsonl's records. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from sysevent.model import Status
from sysevent.report.run_log import Record

_PREFIX = "kvm.system_event."
# One sign a cell: a matrix is looked at, not read.
_NOT_HERE = "·"


class Matrix(msgspec.Struct, frozen=True):
    """Rows of claims, columns of targets, and a verdict where both meet."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Status | None, ...]], ...]
    counts: dict[Status, int]


def matrix(records: Iterable[Record]) -> Matrix:
    """The matrix of a run: the last verdict of each claim on each target with each ABI."""
    cells: dict[tuple[str, str], Status] = {}
    counts: Counter[Status] = Counter()
    for record in records:
        if record["record"] == "verdict":
            key = (record["test"].removeprefix(_PREFIX), column(record))
            cells[key] = Status(record["status"])
    counts.update(cells.values())
    columns = tuple(dict.fromkeys(target for _, target in cells))
    rows = tuple(
        (test, tuple(cells.get((test, target)) for target in columns))
        for test in dict.fromkeys(test for test, _ in cells)
    )
    return Matrix(columns, rows, {status: counts[status] for status in Status if counts[status]})


def column(record: Record) -> str:
    """The target of a verdict as a column is headed: with the VMM's ABI where it is not the native one."""
    foreign = record["abi"] and not record["native"]
    return f"{record['target']}-{record['abi']}" if foreign else str(record["target"])


def lines(found: Matrix) -> list[tuple[str, Status | None]]:
    """The matrix as lines of text, each with the worst status in it."""
    if not found.rows:
        return []
    width = max(len(name) for name, _ in found.rows)
    widths = [max(len(name), 5) for name in found.columns]
    head = "  ".join(name.ljust(size) for name, size in zip(found.columns, widths, strict=True))
    text: list[tuple[str, Status | None]] = [(f"{'claim'.ljust(width)}  {head}".rstrip(), None)]
    for name, cells in found.rows:
        shown = "  ".join(
            (cell.value if cell else _NOT_HERE).ljust(size) for cell, size in zip(cells, widths, strict=True)
        )
        worst = min((cell for cell in cells if cell), key=lambda cell: cell.severity, default=None)
        text.append((f"{name.ljust(width)}  {shown}".rstrip(), worst))
    return text


def summary(found: Matrix) -> str:
    """The counts in one line, worst first."""
    return ", ".join(f"{count} {status}" for status, count in found.counts.items()) or "no verdicts"
