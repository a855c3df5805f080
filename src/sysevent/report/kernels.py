"""Which kernels answered in a run, one line each. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from sysevent.report import records


def lines(run: Iterable[records.Record]) -> list[str]:
    """Return for each target its kernel's release and build ID, and whether that was proven; older runs have none."""
    found = {
        record.name: f"{record.name}: Linux {record.kernel}, {record.facts().identity}"
        for record in run
        if isinstance(record, records.Target) and record.identity is not None
    }
    return list(found.values())
