"""The short matrix of a run: a row for each family of claims, a column for each target and ABI. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sysevent.contract.claim import PREFIX
from sysevent.model import Status
from sysevent.report import matrix, records
from sysevent.report.order import natural
from sysevent.report.records import Record

# In a cell without a verdict, as in the matrix of claims.
_EMPTY = "·"
# Between two columns.
_GAP = "  "
# What a cell of a narrow table has in place of the name of a status that is no cause for alarm.
_LETTERS = {Status.DONE: "D", Status.SKIP: "S"}

_LEGEND = "PASS of all that apply"


class Families(msgspec.Struct, frozen=True):
    """Names of columns; names of rows, each with the number of verdicts by status in each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Mapping[Status, int], ...]], ...]


class Row(msgspec.Struct, frozen=True):
    """A line of the table, with the worst status in it; None for the names of columns."""

    text: str
    worst: Status | None = None


class Table(msgspec.Struct, frozen=True):
    """The lines of the table, and what its cells mean, for the heading."""

    rows: list[Row]
    legend: str


def families(run: Iterable[Record]) -> Families:
    """Return how many claims of each family have which verdict; the last verdict of each claim counts."""
    last = matrix.last_verdicts(run)
    counts: dict[tuple[str, str], Counter[Status]] = {}
    for (_, column), verdict in last.items():
        counts.setdefault((family(verdict), column), Counter())[verdict.status] += 1
    columns = matrix.ordered_columns(last.values())
    names = sorted({name for name, _ in counts}, key=natural)
    return Families(
        columns, tuple((name, tuple(counts.get((name, column), {}) for column in columns)) for name in names)
    )


def family(verdict: records.Verdict) -> str:
    """Return the family of a verdict's claim: its folder in suites/, or else the first word behind its architecture."""
    folders = verdict.nodeid.partition("::")[0].split("/")[:-1]
    if len(folders) > 1:
        return folders[-1]
    words = verdict.test.removeprefix(f"{PREFIX}.").split(".")
    return words[min(1, len(words) - 1)]


def cell(counts: Mapping[Status, int], letters: Mapping[Status, str]) -> str:
    """Return the text of a cell: "41/41", "39/41 2 FAIL", "7 SKIP".

    The fraction is PASS of all that apply, which SKIP does not. letters: short forms of statuses.
    """
    found = {status: counts[status] for status in Status if counts.get(status)}
    if not found:
        return _EMPTY
    passed, applied = found.get(Status.PASS, 0), sum(found.values()) - found.get(Status.SKIP, 0)
    others = [
        f"{count}{letters[status]}" if status in letters else f"{count} {status}"
        for status, count in found.items()
        if status is not Status.PASS
    ]
    alone = not passed and len(found) == 1
    return " ".join(others if alone else [f"{passed}/{applied}", *others])


def table(found: Families, width: int | None = None) -> Table:
    """Return the table in lines of at most width columns, if that is possible; None: of any length.

    A table that is too wide has letters for DONE and SKIP. One that is still too wide is continued below itself.
    """
    if not found.rows:
        return Table([], _LEGEND)
    cells, widths = _cells(found, {})
    if width is None or _first(found) + sum(len(_GAP) + each for each in widths) <= width:
        return Table(_lines(found, cells, widths, range(len(widths))), _LEGEND)
    cells, widths = _cells(found, _LETTERS)
    blocks = _blocks(widths, width - _first(found))
    letters = "".join(f", {letter}: {status}" for status, letter in _LETTERS.items())
    return Table([row for block in blocks for row in _lines(found, cells, widths, block)], _LEGEND + letters)


def _cells(found: Families, letters: Mapping[Status, str]) -> tuple[list[list[str]], list[int]]:
    """The texts of all cells, row by row, and the width of each column."""
    cells = [[cell(counts, letters) for counts in row] for _, row in found.rows]
    return cells, [max(map(len, column)) for column in zip(found.columns, *cells, strict=True)]


def _first(found: Families) -> int:
    """The width of the first column."""
    return max(len("family"), *(len(name) for name, _ in found.rows))


def _blocks(widths: Sequence[int], space: int) -> list[range]:
    """Split columns into blocks that fit into a space; a block has at least one column."""
    blocks, begin, used = [], 0, 0
    for index, each in enumerate(widths):
        used += len(_GAP) + each
        if used > space and index > begin:
            blocks.append(range(begin, index))
            begin, used = index, len(_GAP) + each
    return [*blocks, range(begin, len(widths))]


def _lines(found: Families, cells: Sequence[Sequence[str]], widths: Sequence[int], block: range) -> list[Row]:
    """The lines of some columns; rows without a verdict in any of them are left out."""

    def text(name: str, row: Sequence[str]) -> str:
        shown = _GAP.join(row[index].ljust(widths[index]) for index in block)
        return f"{name.ljust(_first(found))}{_GAP}{shown}".rstrip()

    rows = [Row(text("family", found.columns))]
    for (name, counts), row in zip(found.rows, cells, strict=True):
        here = [status for index in block for status in counts[index]]
        if here:
            rows.append(Row(text(name, row), min(here, key=lambda status: status.severity)))
    return rows
