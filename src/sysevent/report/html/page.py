"""The page of a run, or of several that are merged: one file of HTML that loads nothing. No I/O but its templates.

On top stands what the run means; then the causes of what is not well, the matrix, and what else the records hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sysevent.contract.claim import PREFIX
from sysevent.model import Status
from sysevent.report import (
    dimensions,
    errata_seen,
    families,
    grouping,
    live_readings,
    matrix,
    readers_table,
    records,
    skips,
)
from sysevent.report.html import assets, cells
from sysevent.report.html.headline import MEANINGS, headline
from sysevent.report.html.safe import clipped
from sysevent.report.order import column_key

STYLES = ("base.css", "matrix.css", "detail.css", "media.css")
SCRIPTS = ("theme.js", "data.js", "filters.js", "grid.js", "bytes.js", "detail.js", "main.js")
# Causes and incidents of a run that a page lists: a lab that is down gives thousands.
_CAUSES = 50
_INCIDENTS = 200


def render(run: Sequence[records.Record], logs: Callable[[str], str] | None = None) -> str:
    """Return the page of a run. logs: returns the end of the log of a target, by its name; "" if there is none."""
    found = families.families(run)
    last = matrix.last_verdicts(run)
    counts = Counter(one.status for one in last.values())
    incidents = [record for record in run if isinstance(record, records.Incident)]
    causes = grouping.noteworthy_causes(run)
    values = {
        "headline": headline(run),
        "runs": [record for record in run if isinstance(record, records.Run)],
        "counts": [(status, counts[status], MEANINGS[status]) for status in Status if counts[status]],
        "causes": [_cause(cause, run) for cause in causes[:_CAUSES]],
        "more_causes": max(len(causes) - _CAUSES, 0),
        "columns": _columns(found.columns, last.values()),
        "families": [_family(name, row) for name, row in found.rows],
        "kernels": _kernels(run),
        "dimensions": list(dimensions.lines(run)),
        "skips": skips.lines(run),
        "errata": errata_seen.lines(run),
        "readers": _readers(run),
        "incidents": incidents[:_INCIDENTS],
        "more_incidents": max(len(incidents) - _INCIDENTS, 0),
        "kept": [record for record in run if isinstance(record, records.Kept)],
    }
    return assets.fill(
        "run.html", values, data=cells.data(run, _tails(run, logs)), styles=STYLES, scripts=SCRIPTS
    )


def _tails(run: Iterable[records.Record], logs: Callable[[str], str] | None) -> dict[str, str]:
    if logs is None:
        return {}
    named = (record.target for record in run if isinstance(record, records.Verdict | records.Incident))
    return {name: text for name in dict.fromkeys(named) if (text := logs(name))}


def _cause(cause: grouping.Cause, run: Sequence[records.Record]) -> dict[str, Any]:
    first = cause.verdicts[0]
    sentence = str(cause).removeprefix(f"{cause.status} ").replace(f"{PREFIX}.", "")
    return {
        "status": cause.status,
        "sentence": sentence,
        "others": grouping.others_of(cause, run),
        "example": first.test.removeprefix(f"{PREFIX}."),
        "link": cell_link(first.test.removeprefix(f"{PREFIX}."), matrix.column(first)),
    }


def cell_link(claim: str, column: str) -> str:
    """Return the fragment of the page's address that opens a cell; the script makes the same."""
    return f"#cell={quote(f'{clipped(claim)}|{clipped(column)}', safe='')}"


def _columns(names: Sequence[str], verdicts: Iterable[records.Verdict]) -> list[dict[str, str]]:
    of = {matrix.column(one): one for one in verdicts}
    return [{"name": name, "kernel": of[name].kernel, "abi": of[name].abi} for name in names]


def _family(name: str, row: Sequence[Mapping[Status, int]]) -> dict[str, Any]:
    statuses = [status for counts in row for status in counts]
    return {
        "name": name,
        "worst": min(statuses, key=lambda status: status.severity),
        "cells": [
            {
                "text": families.cell(counts, {}),
                "worst": min(counts, key=lambda status: status.severity, default=None),
            }
            for counts in row
        ],
    }


def _kernels(run: Iterable[records.Record]) -> list[records.Target]:
    found = {record.name: record for record in run if isinstance(record, records.Target)}
    return sorted(found.values(), key=lambda one: (column_key(one.name, one.arch, native=True), one.name))


def _readers(run: Sequence[records.Record]) -> dict[str, Any]:
    """Return the table of readers, with the events that each does not read right."""
    readings = readers_table.read(run)
    live = live_readings.read(run, readings)
    table = readers_table.table(readings, live)
    lines = [*live_readings.notes(live), *readers_table.misreadings(readings)]
    return {"places": table.columns, "rows": table.rows, "lines": lines}
