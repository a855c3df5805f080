"""sysevent report: a recorded run, rendered again from its run.jsonl."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sysevent import options
from sysevent.checkout import ROOT
from sysevent.contract.readers import READERS
from sysevent.errors import UsageError
from sysevent.report import run_log, text_report
from sysevent.report.records import Record
from sysevent.report.renderers import RENDERERS, Renderer


def add_arguments(parser: argparse.ArgumentParser, renderers: Sequence[Renderer] = RENDERERS) -> None:
    """Declare the arguments of the verb, and one option for each output format."""
    options.feed(parser, "report")
    options.feed_formats(parser, {renderer.name: renderer.content for renderer in renderers})
    parser.set_defaults(renderers=renderers)


def run(args: argparse.Namespace) -> int:
    """Write each format that was asked for; without any, print the text report. Return 0."""
    asked = [
        (each, file)
        for each in args.renderers
        if (file := getattr(args, options.format_name(each.name))) is not None
    ]
    if args.reader and asked:
        raise UsageError(f"--reader is about the report on the terminal; leave out --{asked[0][0].name}")
    if args.reader and args.reader not in (known := [reader.name for reader in READERS]):
        raise UsageError(f"--reader {args.reader}: expected one of: {'; '.join(known)}")
    place = Path(args.run or ROOT / "results" / "latest")
    recorded = list(run_log.read(run_log.path_in(place) if place.is_dir() else place))
    if not recorded:
        raise UsageError(f"{place} has no records")
    for renderer, file in asked:
        _write(file, renderer.render(recorded))
    if not asked:
        _print(recorded, args.reader)
    return 0


def _write(file: str, content: str) -> None:
    if file == "-":
        sys.stdout.write(content)
        return
    try:
        Path(file).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


def _print(recorded: Sequence[Record], reader: str | None) -> None:
    """Print the text report, coloured on a terminal."""
    console = Console(highlight=False)
    for line in text_report.lines(recorded, reader):
        style = "bold" if line.heading else text_report.STYLES[line.mark] if line.mark else ""
        console.print(line.text, style=style, markup=False, soft_wrap=True)
