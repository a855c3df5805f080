"""`sysevent report --history`: the claims of many runs over kernels and days, as a page of HTML."""

from __future__ import annotations

import argparse
from pathlib import Path

from sysevent import options
from sysevent.cli import html_file
from sysevent.errors import UsageError
from sysevent.report import exporting
from sysevent.report.history import collection, stream
from sysevent.report.html import history_page


def run(args: argparse.Namespace) -> int:
    """Write the page of a history. Return 0. UsageError if no run is named, or another format is asked for."""
    exports = exporting.asked(options.formats(vars(args)), vars(args))
    if [export.name for export in exports] != ["html"]:
        raise UsageError("--history is written as HTML only: sysevent report --history DIR... --html FILE")
    if not args.run:
        raise UsageError("--history: name results directories, or a directory of them, such as results")
    logs = stream.logs([Path(name).expanduser() for name in args.run])
    # By time, then by name, so that the page is the same whatever the order of the words.
    logs.sort(key=lambda log: (stream.start(log).start, log))
    history = collection.collect(map(stream.parts, logs))
    html_file.write(exports[0].file, history_page.render(history))
    return 0
