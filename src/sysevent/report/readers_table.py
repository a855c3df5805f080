"""How each reader of contract/readers.py, a generation of userspace, reads the events of a run. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.arches import ABIS, ARCHITECTURES
from sysevent.contract import catalogue, readers
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.readers import READERS, Reading, ReadResult
from sysevent.report import records
from sysevent.report.live_readings import Live, reader_of
from sysevent.report.order import ColumnKey, column_key
from sysevent.report.records import Record

# Characters that are kept of the beginning of a long explanation, and twice as many of its end.
_END = 32


def read(run: Sequence[Record]) -> list[tuple[str, Reading]]:
    """Return what each reader makes of each event of a run, with the name of the target that gave the event.

    An event that several claims are about is read once.
    """
    facts = {record.name: record.facts() for record in run if isinstance(record, records.Target)}
    claims = by_scenario(catalogue.load().exits)
    found = []
    for record in run:
        if not isinstance(record, records.Observation) or record.target not in facts:
            continue
        claim = claims.get(record.scenario)
        # A later release may know more ABIs.
        if claim is not None and record.abi in ABIS:
            readings = readers.readings(claim, record.seen(), facts[record.target])
            found += [(record.target, reading) for reading in readings]
    return found


def by_scenario(claims: Iterable[ExitClaim]) -> dict[str, ExitClaim]:
    """For each scenario the claim that says what its event holds: the one of its name, or else the first."""
    found: dict[str, ExitClaim] = {}
    for claim in claims:
        if claim.name == claim.asks.name or claim.asks.name not in found:
            found[claim.asks.name] = claim
    return found


class Row(msgspec.Struct, frozen=True):
    """One row of the table: a reader, or below it what a user of a VMM that reads so got."""

    # Of the reader or the VMM, and which programs the reader stands for.
    name: str
    used_by: str
    # For each column how many events have which result.
    cells: tuple[tuple[tuple[str, int], ...], ...]
    # True: the events were seen; False: the results are computed from the bytes.
    live: bool = False


class Table(msgspec.Struct, frozen=True):
    """How each reader reads the events of a run, computed, and live where the run has a VMM that reads so."""

    # The target and the ABI.
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def table(found: Iterable[tuple[str, Reading]], live: Iterable[Live] = ()) -> Table:
    """Return the table. live: what users of real VMMs got, from live_readings.read()."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    keys: dict[str, ColumnKey] = {}
    vmms: dict[str, str] = {}

    def count(row: str, target: str, abi: str, result: str) -> None:
        column = f"{target} {abi}"
        counts.setdefault((row, column), Counter())[result] += 1
        # The ABI of a kernel has the name of its architecture.
        keys[column] = column_key(target, abi, native=abi in ARCHITECTURES)

    for target, reading in found:
        count(reading.reader, target, reading.abi, reading.result.value)
    for one in live:
        vmms[one.vmm] = reader_of(one.vmm)
        count(one.vmm, one.target, one.abi, one.result.value)
    columns = tuple(sorted(keys, key=lambda column: keys[column]))

    def row(name: str, used_by: str, *, live: bool) -> Row:
        cells = (counts.get((name, column), Counter()) for column in columns)
        return Row(name, used_by, tuple(tuple(sorted(cell.items(), reverse=True)) for cell in cells), live)

    rows = []
    for reader in READERS:
        rows.append(row(reader.name, reader.used_by, live=False))
        rows += [row(vmm, "live", live=True) for vmm, name in vmms.items() if name == reader.name]
    rows += [row(vmm, "live", live=True) for vmm, name in vmms.items() if not name]
    return Table(columns, tuple(rows) if columns else ())


def lines(found: Table) -> list[str]:
    """Return the table as text: a row for each reader and VMM, a column for each target and ABI."""
    if not found.columns:
        return []
    rows = [("reader", *found.columns)]
    for row in found.rows:
        cells = (", ".join(f"{number} {word}" for word, number in cell) for cell in row.cells)
        rows.append((f"{'  ' if row.live else ''}{row.name} ({row.used_by})", *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def misreadings(found: Iterable[tuple[str, Reading]]) -> list[tuple[ReadResult, str]]:
    """Return a line for each reader and each way in which it is not right: how often, where, and one event of them."""
    groups: dict[tuple[str, ReadResult], list[tuple[str, Reading]]] = {}
    for target, reading in found:
        if reading.result is not ReadResult.RIGHT:
            groups.setdefault((reading.reader, reading.result), []).append((target, reading))
    lines = []
    for (reader, result), group in groups.items():
        places = ", ".join(dict.fromkeys(f"{target} {reading.abi}" for target, reading in group))
        example = f"{group[0][1].event}: {_shortened(group[0][1].explanation)}"
        events = "1 event" if len(group) == 1 else f"{len(group)} events, such as"
        lines.append((result, f"{result}: {reader!r} on {places}, {events} {example}"))
    return lines


def _shortened(text: str) -> str:
    """An explanation without its middle if it is long: 16 data that were never written are all alike."""
    return text if len(text) <= 3 * _END else f"{text[:_END]} … {text[-2 * _END :]}"
