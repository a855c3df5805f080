"""The report of a run as text: matrix, kernels, verdicts worth a line, how userspace reads the events. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sysevent.contract.readers import ReadResult
from sysevent.model import Status
from sysevent.report import dimensions, errata_seen, families, kernels, matrix, readers_table, skips
from sysevent.report.grouping import noteworthy
from sysevent.report.records import Record
from sysevent.text import escape_line

# How a terminal shows a status or a result: words of rich's styles, which are pytest's names of markup as well. pytest
# writes their escape sequences in this order.
STYLES: dict[Status | ReadResult, str] = {
    Status.FAIL: "red bold",
    Status.ERROR: "red",
    Status.MISS: "yellow bold",
    Status.PASS: "green",
    Status.DONE: "cyan",
    Status.SKIP: "yellow",
    ReadResult.RIGHT: "green",
    ReadResult.WRONG: "red bold",
    ReadResult.GARBAGE: "red",
}


class Line(msgspec.Struct, frozen=True):
    """One line of the report. A terminal colours it by its status or result, or shows it as a heading."""

    text: str
    mark: Status | ReadResult | None = None
    heading: bool = False


def lines(run: Sequence[Record], reader: str | None = None) -> Iterator[Line]:
    """Yield the lines of the report.

    The last part lists, event by event, the readings that are not right; with a reader, all readings of that one.
    """
    for line in _lines(run, reader):
        # What comes from a file must not act on a terminal.
        yield msgspec.structs.replace(line, text=escape_line(line.text))


def render(run: Sequence[Record]) -> str:
    """Return the report as plain text."""
    return "".join(f"{line.text}\n" for line in lines(run))


def _lines(run: Sequence[Record], reader: str | None) -> Iterator[Line]:
    found = matrix.matrix(run)
    for text, worst in matrix.lines(found):
        yield Line(text, worst, heading=worst is None)
    for row in families.table(families.families(run)).rows:
        yield Line(row.text, row.worst, heading=row.worst is None)
    yield Line(matrix.summary(found), heading=True)
    for text in kernels.lines(run):
        yield Line(text)
    for text in dimensions.lines(run):
        yield Line(text)
    for status, text in noteworthy(run):
        yield Line(text, status)
    for text in skips.lines(run):
        yield Line(text, Status.SKIP)
    yield from map(Line, errata_seen.lines(run))
    readings = readers_table.read(run)
    for text in readers_table.lines(readings):
        yield Line(text)
    for target, reading in readings:
        if reading.reader == reader or (reader is None and reading.result is not ReadResult.RIGHT):
            what = f"{reading.reader!r} on {target}, {reading.abi}, {reading.event}"
            yield Line(f"{reading.result}: {what}: {reading.explanation}", reading.result)
