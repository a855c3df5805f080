"""sysevent vmms: what users of real VMMs get of each event, for several VMMs and kernels, as one table."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from sysevent.cli import say, show
from sysevent.cli.new_results import new_folder
from sysevent.cli.run import Start, pytest_options, start_pytest
from sysevent.contract import catalogue
from sysevent.contract.outcome_checks import beside
from sysevent.doctor.requirements import ensure_qemu, needed_architectures
from sysevent.images.rootfs import kits
from sysevent.images.rootfs.kits.recipes import QEMU
from sysevent.report import live_readings, readers_table, run_log, vmm_table
from sysevent.report.records import Record
from sysevent.text import escape_line

# Exit codes of pytest: interrupted, and no test was selected.
_INTERRUPTED, _NO_RESULT, _NOTHING = 2, 3, 5


def run(args: argparse.Namespace, start: Start = start_pytest) -> int:
    """Run the claims of each VMM on each kernel, one VMM after the other, and print the table; the exit code.

    0 if every run passed, else the highest exit code of pytest; at least 3 if nothing is known of any VMM. UsageError
    if the results would be mixed with others, or if a program of the user's cannot be used.
    """
    kits.wanted(args.vmm or ())
    ensure_qemu(needed_architectures(args.target, args.arch), say, install=False, explicit=bool(args.arch))
    folder = new_folder(args.results, "vmms")
    folder.mkdir(parents=True, exist_ok=True)
    code = 0
    recorded: list[Sequence[Record]] = []
    begin = time.monotonic()
    for vmm in args.vmm or [recipe.name for recipe in QEMU]:
        place = folder / re.sub(r"[^\w.-]", "_", vmm)
        say(f"{vmm}: running, with its output in {place}.out")
        since = time.monotonic()
        words = pytest_options(
            argparse.Namespace(**vars(args) | {"vmm": vmm, "results": str(place), "abi": ["native"]}),
            Path.cwd(),
        )
        ended = start([*words, f"-k={' or '.join(_keywords())}"], Path(f"{place}.out"))
        say(f"{vmm}: exit code {ended} after {time.monotonic() - since:.0f} s")
        path = run_log.path_in(place)
        if path.exists():
            recorded.append(list(run_log.read(path)))
        if ended == _INTERRUPTED:
            return ended
        code = max(code, 0 if ended == _NOTHING else ended)
    everything = [record for one in recorded for record in one]
    for line in vmm_table.lines(everything):
        show(line)
    for _, line in live_readings.notes(live_readings.read(everything, readers_table.read(everything))):
        show(escape_line(line))
    show(f"{time.monotonic() - begin:.0f} s; results: {folder}")
    return code if vmm_table.rows(everything) else max(code, _NO_RESULT)


def _keywords() -> list[str]:
    """The ends of the ids of the tests: the claims about real VMMs, and those about the same events' bytes."""
    claims = catalogue.load().about_vmms
    raw = dict.fromkeys(name.partition(".")[2] for claim in claims if (name := beside(claim)))
    return ["-vmm.", *(f"-{title}]" for title in raw)]
