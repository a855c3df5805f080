"""sysevent report: recorded runs, rendered again from their run.jsonl. The exit code is that of the run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sysevent import options
from sysevent.checkout import results_home
from sysevent.cli import history, say
from sysevent.contract.readers import READERS
from sysevent.errors import InfrastructureError, UsageError
from sysevent.report import exit_code, exporting, merging, run_log, text_report
from sysevent.report.html import logs as target_logs
from sysevent.report.records import Record


def run(args: argparse.Namespace) -> int:
    """Write each format that was asked for; without any, print the text report. Return the exit code of the run.

    InfrastructureError if a format could not be written; all others are written then.
    """
    if args.history:
        return history.run(args)
    names = args.run or [str(results_home() / "latest")]
    places = [Path(name).expanduser() for name in names]
    logs = target_logs.reader([place if place.is_dir() else place.parent for place in places])
    exports = exporting.asked(options.formats(vars(args)), {**vars(args), "logs": logs})
    if args.reader and exports:
        raise UsageError(f"--reader is about the report on the terminal; leave out --{exports[0].name}")
    if args.reader and args.reader not in (known := [reader.name for reader in READERS]):
        raise UsageError(f"--reader {args.reader}: expected one of: {'; '.join(known)}")
    recorded = read(names)
    failed = exporting.write(exports, recorded)
    for export, why in failed:
        say(f"--{export.name} could not be written: {why}")
    if failed:
        raise InfrastructureError(f"{len(failed)} of {len(exports)} formats could not be written")
    if not exports:
        _print(recorded, args.reader)
    return exit_code.of(recorded)


def read(names: Sequence[str]) -> list[Record]:
    """Return the records of runs, merged; of one that is named twice once. UsageError if one cannot be read."""
    runs: dict[tuple[int, int], list[Record]] = {}
    for name in names:
        place = Path(name).expanduser()
        log = run_log.path_in(place) if place.is_dir() else place
        records = list(run_log.read(log))
        if not records:
            raise UsageError(f"{place} has no records")
        found = log.stat()
        runs[found.st_dev, found.st_ino] = records
    return merging.merge(list(runs.values()))


def _print(recorded: Sequence[Record], reader: str | None) -> None:
    """Print the text report, coloured on a terminal."""
    console = Console(highlight=False)
    for line in text_report.lines(recorded, reader):
        style = "bold" if line.heading else text_report.STYLES[line.mark] if line.mark else ""
        console.print(line.text, style=style, markup=False, soft_wrap=True)
