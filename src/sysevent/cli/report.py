"""sysevent report: a recorded run, rendered again from its run.jsonl."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from sysevent import options
from sysevent.checkout import ROOT
from sysevent.model import Status
from sysevent.report import readers_table, run_log
from sysevent.report.grouping import told
from sysevent.report.matrix import lines, matrix, summary

_STYLES = {
    Status.FAIL: "bold red",
    Status.ERROR: "red",
    Status.MISS: "bold yellow",
    Status.PASS: "green",
    Status.DONE: "cyan",
    Status.SKIP: "yellow",
}
_FINDINGS = {"right": "green", "wrong": "bold red", "garbage": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    options.feed(parser, "report")


def run(args: argparse.Namespace) -> int:
    """Print the matrix, the reasons of what is not PASS, the readers' table, and who is misled by which event."""
    place = Path(args.run or ROOT / "results" / "latest")
    records = list(run_log.read(place / "run.jsonl" if place.is_dir() else place))
    console = Console(highlight=False)
    found = matrix(records)
    for line, worst in lines(found):
        console.print(line, style=_STYLES[worst] if worst else "bold", markup=False, soft_wrap=True)
    console.print(summary(found), style="bold")
    verdicts = [record for record in records if record["record"] == "verdict"]
    for status, text in told([record for record in verdicts if record["status"] not in ("PASS", "SKIP")]):
        console.print(text, style=_STYLES[status], markup=False, soft_wrap=True)
    readings = readers_table.read(records)
    for line in readers_table.lines(readings):
        console.print(line, markup=False, soft_wrap=True)
    for target, reading in readings:
        finding = reading.finding.value
        if args.reader in (None, reading.reader) and (args.reader or finding != "right"):
            text = (
                f"{finding}: {reading.reader!r} on {target}, {reading.abi}, {reading.event}: {reading.told}"
            )
            console.print(text, style=_FINDINGS[finding], markup=False, soft_wrap=True)
    return 0
