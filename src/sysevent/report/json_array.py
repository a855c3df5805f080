"""The records of a run as one JSON array, for programs that do not read JSON lines. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from sysevent.report.records import Record


def render(run: Sequence[Record]) -> str:
    """Return the array, ASCII only, with one record per line."""
    items = ",\n".join(json.dumps(msgspec.to_builtins(record)) for record in run)
    return f"[\n{items}\n]\n"
