"""sysevent diff: what two kernels, or two recorded runs, give differently. Exit code 0 if nothing differs, else 1."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sysevent import options
from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT
from sysevent.cli import say, show
from sysevent.doctor.requirements import ensure_qemu, needed_architectures
from sysevent.errors import InfrastructureError, UsageError
from sysevent.report import difference_text, run_log
from sysevent.report.difference import TargetRun, by_target, compare
from sysevent.text import escape_line

# Exit codes of pytest after which a run is complete: all passed, some failed.
_COMPLETE = (0, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.epilog = "RUN: a results directory, its run.jsonl, or a kernel as for --kernel, which is run first"
    options.feed(parser, "diff")


def run(args: argparse.Namespace) -> int:
    """Compare two runs and print the result. Return 1 if anything differs, else 0."""
    before, after = (select(load(name, args), args.arch) for name in (args.before, args.after))
    found = compare(before, after)
    if args.json:
        print(json.dumps(msgspec.to_builtins(found), indent=1))
        return 1 if found.differences else 0
    for sign, targets in (("-", before), ("+", after)):
        for name, target in targets.items():
            show(escape_line(f"{sign} {name}: Linux {target.facts.release}"))
    print("\n".join(difference_text.lines(found)))
    return 1 if found.differences else 0


def select(targets: dict[str, TargetRun], archs: Sequence[str]) -> dict[str, TargetRun]:
    """Return the targets of some architectures, without any all. UsageError if an architecture is unknown."""
    for arch in archs:
        if arch not in ARCHITECTURES:
            raise UsageError(f"--arch {arch}: expected one of {', '.join(ARCHITECTURES)}")
    return {name: target for name, target in targets.items() if not archs or target.facts.arch in archs}


def load(name: str, args: argparse.Namespace) -> dict[str, TargetRun]:
    """Return what a run found, by target: a recorded run, or one of a kernel that is run now.

    UsageError if the name is not that of a run, InfrastructureError if the kernel cannot be run.
    """
    path = Path(name).expanduser()
    if run_log.path_in(path).is_file():
        path = run_log.path_in(path)
    if path.suffix == ".jsonl":
        return by_target(run_log.read(path))
    if path.is_dir():
        raise UsageError(f"{name} holds no {run_log.NAME}; a built kernel tree is written tree:{name}")
    return by_target(run_log.read(run_log.path_in(_run(name, args))))


def _run(kernel: str, args: argparse.Namespace) -> Path:
    """The results of running everything on a kernel."""
    archs = needed_architectures(args.target, args.arch)
    ensure_qemu(archs, say, explicit=bool(args.target or args.arch))
    kind, colon, rest = kernel.partition(":")
    if not colon:
        kernel = str(Path(kernel).expanduser().resolve())
    elif kind == "tree":
        kernel = f"tree:{Path(rest).expanduser().resolve()}"
    label = re.sub(r"[^\w.-]", "_", kernel)[-40:]
    results = ROOT / "results" / f"diff-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{label}"
    given = vars(args) | {"kernel": [kernel], "results": str(results)}
    words = options.spelled(given, lambda _, path: path if path == kernel else str(Path(path).resolve()))
    say(f"running every claim on {kernel}")
    command = [sys.executable, "-m", "pytest", "suites", "-q", *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in _COMPLETE or not run_log.path_in(results).exists():
        tail = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise InfrastructureError(f"{kernel} could not be run (exit code {done.returncode}):\n  {tail}")
    return results
