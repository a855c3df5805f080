"""The report of a run as text: matrix, kernels, verdicts worth a line, how userspace reads the events. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sysevent.contract.readers import ReadResult
from sysevent.model import Status
from sysevent.report import (
    dimensions,
    errata_seen,
    families,
    kernels,
    live_readings,
    matrix,
    merging,
    peers_table,
    readers_table,
    records,
    skips,
    vmm_table,
)
from sysevent.report.grouping import noteworthy_causes, others_of
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
    """Yield the lines of the report; the counts are the last.

    The readings that are not right share a line for each reader. With a reader, all readings of that one are listed.
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
    for text in kernels.lines(run):
        yield Line(text)
    for text in dimensions.lines(run):
        yield Line(text)
    for cause in noteworthy_causes(run):
        yield Line(str(cause), cause.status)
        if named := others_of(cause, run):
            yield Line(f"  {named}", cause.status)
    for text in skips.lines(run):
        yield Line(text, Status.SKIP)
    yield from map(Line, errata_seen.lines(run))
    yield from _readings(run, reader)
    if any(isinstance(record, records.Outcome) for record in run):
        yield from map(Line, vmm_table.lines(run))
    yield from (Line(text, status, heading=status is None) for text, status in peers_table.lines(run))
    yield from (Line(text, Status.MISS) for text in merging.notes(run))
    yield Line(matrix.summary(found), heading=True)


def _readings(run: Sequence[Record], reader: str | None) -> Iterator[Line]:
    readings = readers_table.read(run)
    live = live_readings.read(run, readings)
    yield from map(Line, readers_table.lines(readers_table.table(readings, live)))
    for result, text in live_readings.notes(live):
        yield Line(text, result)
    if reader is None:
        for result, text in readers_table.misreadings(readings):
            yield Line(text, result)
    for target, reading in readings:
        if reading.reader == reader:
            what = f"{reading.reader!r} on {target}, {reading.abi}, {reading.event}"
            yield Line(f"{reading.result}: {what}: {reading.explanation}", reading.result)
