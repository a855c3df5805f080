"""The output formats of `sysevent report`, one row each. A new format is a file with `render` and a row here.

Every format is made from the records of run.jsonl alone, so that any run can be rendered again at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from sysevent.report import json_array, text_report
from sysevent.report.records import Record


class Renderer(msgspec.Struct, frozen=True):
    """One output format."""

    # `--NAME FILE` asks for it.
    name: str
    # What it shows, in a few words for --help.
    content: str
    # From the records of a run to the content of a file. Does no I/O.
    render: Callable[[Sequence[Record]], str]


RENDERERS = (
    Renderer("text", "the report that is shown without any format", text_report.render),
    Renderer("json", "all records as one JSON array", json_array.render),
)
