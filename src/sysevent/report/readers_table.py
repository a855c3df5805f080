"""The readers' table: reader by target, rendered from run.jsonl's records. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.readers import READERS, Reading, readings
from sysevent.report import recorded
from sysevent.report.run_log import Record


def read(records: Sequence[Record]) -> list[tuple[str, Reading]]:
    """Each event of a run as each reader finds it, with the target it was seen on; each event once."""
    facts = {
        record["name"]: recorded.read_facts(record) for record in records if record["record"] == "target"
    }
    claims = _by_scenario(catalogue.load().exits)
    found = []
    for record in records:
        claim = claims.get(record.get("scenario", "")) if record["record"] == "observation" else None
        if claim is not None and record["target"] in facts:
            seen = recorded.read_observation(record)
            found += [
                (record["target"], reading) for reading in readings(claim, seen, facts[record["target"]])
            ]
    return found


def _by_scenario(claims: Iterable[ExitClaim]) -> dict[str, ExitClaim]:
    """For each scenario the claim that says what its event holds: the one of its name, or else the first."""
    found: dict[str, ExitClaim] = {}
    for claim in claims:
        if claim.name == claim.asks.name or claim.asks.name not in found:
            found[claim.asks.name] = claim
    return found


def lines(found: Iterable[tuple[str, Reading]]) -> list[str]:
    """The table: for each reader and each target and ABI, how many events it finds right, wrong or garbage."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for target, reading in found:
        counts.setdefault((reading.reader, f"{target} {reading.abi}"), Counter())[reading.finding.value] += 1
    columns = list(dict.fromkeys(column for _, column in counts))
    if not columns:
        return []
    cells = {
        key: ", ".join(f"{number} {word}" for word, number in sorted(counter.items(), reverse=True))
        for key, counter in counts.items()
    }
    names = {reader.name: f"{reader.name} ({reader.who})" for reader in READERS}
    width = max(map(len, names.values()))
    widths = [max(len(column), *(len(cells.get((name, column), "")) for name in names)) for column in columns]
    text = [
        "reader".ljust(width)
        + "".join("  " + column.ljust(size) for column, size in zip(columns, widths, strict=True)).rstrip()
    ]
    for name, shown in names.items():
        row = "".join(
            "  " + cells.get((name, column), "").ljust(size)
            for column, size in zip(columns, widths, strict=True)
        )
        text.append((shown.ljust(width) + row).rstrip())
    return text
