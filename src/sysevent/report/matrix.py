"""The matrix of a run: a row for each claim, a column for each target and ABI. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from sysevent.contract.claim import PREFIX
from sysevent.model import Status
from sysevent.report import records
from sysevent.report.order import claim_key, column_key
from sysevent.report.records import Record

# In a cell without a verdict. A single character keeps such cells quiet.
_EMPTY = "·"


class Matrix(msgspec.Struct, frozen=True):
    """The verdicts of a run: names of columns; names of rows with a status or None for each column; counts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Status | None, ...]], ...]
    counts: dict[Status, int]


def matrix(run: Iterable[Record]) -> Matrix:
    """Return the matrix of a run's records, with the last verdict of each claim on each target with each ABI."""
    last = last_verdicts(run)
    columns = ordered_columns(last.values())
    tests = sorted({test.removeprefix(f"{PREFIX}.") for test, _ in last}, key=claim_key)
    cells = {
        (test.removeprefix(f"{PREFIX}."), place): verdict.status for (test, place), verdict in last.items()
    }
    rows = tuple((test, tuple(cells.get((test, place)) for place in columns)) for test in tests)
    counts = Counter(cells.values())
    return Matrix(columns, rows, {status: counts[status] for status in Status if counts[status]})


def last_verdicts(run: Iterable[Record]) -> dict[tuple[str, str], records.Verdict]:
    """Return the verdict that counts of each claim in each column, by both.

    Within a run that is the last one. Of several runs, each of which begins with its `run` record, it is the worst.
    """
    found: dict[tuple[str, str], records.Verdict] = {}
    within: dict[tuple[str, str], records.Verdict] = {}
    for record in run:
        if isinstance(record, records.Run):
            _add_worse(found, within)
            within = {}
        elif isinstance(record, records.Verdict):
            within[record.test, column(record)] = record
    _add_worse(found, within)
    return found


def _add_worse(
    found: dict[tuple[str, str], records.Verdict], others: dict[tuple[str, str], records.Verdict]
) -> None:
    """Add verdicts to those that were found, where there is none yet or a better one."""
    for key, verdict in others.items():
        if key not in found or verdict.status.severity < found[key].status.severity:
            found[key] = verdict


def ordered_columns(verdicts: Iterable[records.Verdict]) -> tuple[str, ...]:
    """Return the columns of some verdicts, in the order of every table."""
    keys = {column(one): column_key(one.target, one.abi, native=one.native) for one in verdicts}
    return tuple(sorted(keys, key=lambda name: (keys[name], name)))


def column(verdict: records.Verdict) -> str:
    """Return the name of a verdict's column: its target, with the VMM's ABI if that is not the native one."""
    if verdict.native or not verdict.abi:
        return verdict.target
    return f"{verdict.target}-{verdict.abi}"


def lines(found: Matrix) -> list[tuple[str, Status | None]]:
    """Return the matrix as lines of text, each with the worst status in it; None for the line of column names."""
    if not found.rows:
        return []
    width = max(len(name) for name, _ in found.rows)
    widths = [max(len(name), 5) for name in found.columns]
    head = "  ".join(name.ljust(size) for name, size in zip(found.columns, widths, strict=True))
    text: list[tuple[str, Status | None]] = [(f"{'claim'.ljust(width)}  {head}".rstrip(), None)]
    for name, cells in found.rows:
        shown = "  ".join(
            (cell.value if cell else _EMPTY).ljust(size) for cell, size in zip(cells, widths, strict=True)
        )
        worst = min((cell for cell in cells if cell), key=lambda cell: cell.severity, default=None)
        text.append((f"{name.ljust(width)}  {shown}".rstrip(), worst))
    return text


def summary(found: Matrix) -> str:
    """Return the counts in one line, the worst status first."""
    return ", ".join(f"{count} {status}" for status, count in found.counts.items()) or "no verdicts"
