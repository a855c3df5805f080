"""sysevent report: a recorded run, rendered again from its run.jsonl."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sysevent.checkout import ROOT
from sysevent.contract.readers import Finding
from sysevent.model import Status
from sysevent.report import run_log, text_report
from sysevent.report.records import Record

_STYLES: dict[Status | Finding | None, str] = {
    None: "",
    Status.FAIL: "bold red",
    Status.ERROR: "red",
    Status.MISS: "bold yellow",
    Status.PASS: "green",
    Status.DONE: "cyan",
    Status.SKIP: "yellow",
    Finding.RIGHT: "green",
    Finding.WRONG: "bold red",
    Finding.GARBAGE: "red",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which run to read."""
    latest = str(ROOT / "results" / "latest")
    parser.add_argument("run", nargs="?", default=latest, help="its results directory")
    parser.add_argument("--reader", metavar="NAME", help="only this reader, event by event")


def run(args: argparse.Namespace) -> int:
    """Print the text report. Return 0."""
    place = Path(args.run)
    _print(list(run_log.read(place / "run.jsonl" if place.is_dir() else place)), args.reader)
    return 0


def _print(recorded: Sequence[Record], reader: str | None) -> None:
    """Print the text report, coloured on a terminal."""
    console = Console(highlight=False)
    for line in text_report.lines(recorded, reader):
        style = "bold" if line.heading else _STYLES[line.mark]
        console.print(line.text, style=style, markup=False, soft_wrap=True)
