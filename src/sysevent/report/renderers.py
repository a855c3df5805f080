"""What makes each format of `sysevent report` and `sysevent run`, one row each.

Every format is made from the records of run.jsonl alone, so that any run can be rendered again at any time. Its option
and what it shows are in FORMATS of option_table.py.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sysevent.report import json_array, junit, kcidb, ktap, lava, text_report
from sysevent.report.html import page


class Renderer(msgspec.Struct, frozen=True):
    """What makes one output format."""

    # `--NAME FILE` asks for it.
    name: str
    # From a sequence of records, of one run or of several merged ones, to the content of a file. Does no I/O.
    render: Callable[..., str]
    # What render() takes as keywords besides the records: options, by their names after parsing, and `logs`, which
    # gives the end of a target's logs (html/logs.py).
    takes: tuple[str, ...] = ()


RENDERERS = (
    Renderer("text", text_report.render),
    Renderer("json", json_array.render),
    Renderer("junit", junit.render),
    Renderer("ktap", ktap.render),
    Renderer("kcidb", kcidb.render, takes=("kcidb_origin",)),
    Renderer("lava", lava.render),
    Renderer("html", page.render, takes=("logs",)),
)
