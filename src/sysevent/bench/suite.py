"""Measurements of whole runs of pytest as a user starts them, from Enter to the last line."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sysevent.checkout import ROOT
from sysevent.errors import HarnessError
from sysevent.pytest_process import suites_command
from sysevent.report import records, run_log


def run(words: Sequence[str], *, fresh: bool) -> dict[str, float]:
    """Run `pytest words`: "wall" seconds, "CPU" seconds including all its QEMUs, and the number of "verdicts".

    fresh: True: guests boot, snapshots are not used. Raises HarnessError when the run fails or has an incident.
    """
    with tempfile.TemporaryDirectory(prefix="sysevent-bench-") as folder:
        results = Path(folder) / "results"
        command = suites_command(["-q", f"--results={results}", *words])
        before, begin = os.times(), time.monotonic()
        done = subprocess.run(
            [*command, *(["--fresh"] if fresh else [])], cwd=ROOT, capture_output=True, text=True, check=False
        )
        wall, after = time.monotonic() - begin, os.times()
        log = run_log.path_in(results)
        written = list(run_log.read(log)) if log.exists() else []
    if done.returncode or any(isinstance(record, records.Incident) for record in written):
        raise HarnessError(
            f"not a measurement: {' '.join(command)} gave {done.returncode}:\n{done.stdout[-2000:]}"
        )
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    verdicts = sum(isinstance(record, records.Verdict) for record in written)
    return {"wall": wall, "CPU": cpu, "verdicts": float(verdicts)}
