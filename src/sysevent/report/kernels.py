"""Which kernels answered in a run, one line each. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from sysevent.report import records
from sysevent.report.order import column_key


def lines(run: Iterable[records.Record]) -> list[str]:
    """Return for each target its kernel's release and build ID, and whether that was proven; older runs have none."""
    found = {
        record.name: record
        for record in run
        if isinstance(record, records.Target) and record.identity is not None
    }
    ordered = sorted(found.values(), key=lambda one: (column_key(one.name, one.arch, native=True), one.name))
    return [f"{one.name}: Linux {one.kernel}, {one.facts().identity}" for one in ordered]
