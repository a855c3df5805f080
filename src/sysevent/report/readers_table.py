"""How each reader of contract/readers.py, a generation of userspace, reads the events of a run. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sysevent.arches import ABIS, ARCHITECTURES
from sysevent.contract import catalogue, readers
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.readers import READERS, Reading, ReadResult
from sysevent.report import records
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


def lines(found: Iterable[tuple[str, Reading]]) -> list[str]:
    """Return the table: a row for each reader, a column for each target and ABI, how many events it reads how."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    keys: dict[str, ColumnKey] = {}
    for target, reading in found:
        column = f"{target} {reading.abi}"
        counts.setdefault((reading.reader, column), Counter())[reading.result.value] += 1
        # The ABI of a kernel has the name of its architecture.
        keys[column] = column_key(target, reading.abi, native=reading.abi in ARCHITECTURES)
    columns = sorted(keys, key=lambda column: keys[column])
    if not columns:
        return []
    cells = {
        key: ", ".join(f"{number} {word}" for word, number in sorted(counter.items(), reverse=True))
        for key, counter in counts.items()
    }
    rows = [("reader", *columns)]
    for reader in READERS:
        row = (cells.get((reader.name, column), "") for column in columns)
        rows.append((f"{reader.name} ({reader.used_by})", *row))
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
