"""sysevent diff: what two kernels, or two recorded runs, give differently. Exit code 0 if nothing differs, else 1."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sysevent import options
from sysevent.checkout import ROOT, results_home
from sysevent.cli import html_file, say, show
from sysevent.doctor.requirements import ensure_qemu, needed_architectures
from sysevent.errors import InfrastructureError, UsageError
from sysevent.images.kernel import mistakes
from sysevent.pytest_process import suites_command
from sysevent.report import difference_text, run_log
from sysevent.report.difference import TargetRun, by_target, compare
from sysevent.report.html import difference_page
from sysevent.targets import spec
from sysevent.targets.abis import check_abis
from sysevent.text import escape_line

# Exit codes of pytest after which a run is complete: all passed, some failed.
_COMPLETE = (0, 1)


def run(args: argparse.Namespace) -> int:
    """Compare two runs and print the result. Return 1 if anything differs, else 0."""
    sides = [recorded(name) for name in (args.before, args.after)]
    # Before either is run, which takes a while.
    check([name for name, side in zip((args.before, args.after), sides, strict=True) if side is None], args)
    before, after = (
        select(
            by_target(run_log.read(run_log.path_in(_run(name, args)))) if side is None else side, args.arch
        )
        for name, side in zip((args.before, args.after), sides, strict=True)
    )
    found = compare(before, after)
    if args.html:
        releases = [{name: target.facts.release for name, target in side.items()} for side in (before, after)]
        html_file.write(args.html, difference_page.render(found, (args.before, args.after), releases))
        return 1 if found.differences else 0
    if args.json:
        print(json.dumps(msgspec.to_builtins(found), indent=1))
        return 1 if found.differences else 0
    for sign, targets in (("-", before), ("+", after)):
        for name, target in targets.items():
            show(escape_line(f"{sign} {name}: Linux {target.facts.release}"))
    print("\n".join(difference_text.lines(found)))
    return 1 if found.differences else 0


def select(targets: dict[str, TargetRun], archs: Sequence[str]) -> dict[str, TargetRun]:
    """Return the targets of some architectures, without any all."""
    return {name: target for name, target in targets.items() if not archs or target.facts.arch in archs}


def recorded(name: str) -> dict[str, TargetRun] | None:
    """Return what a recorded run found, by target; None if the name is not that of one, but can be a kernel's.

    UsageError if its log cannot be read or has no target.
    """
    path = Path(name).expanduser()
    if run_log.path_in(path).is_file():
        path = run_log.path_in(path)
    elif path.is_dir():
        raise UsageError(f"{name} holds no {run_log.NAME}; a built kernel tree is written tree:{name}")
    elif path.suffix != ".jsonl":
        return None
    found = by_target(run_log.read(path))
    if not found:
        raise UsageError(f"{path} has no record of a target: the run ended before a guest had answered")
    return found


def check(kernels: Sequence[str], args: argparse.Namespace) -> None:
    """Raise UsageError if a kernel cannot be run on the targets that are selected, as far as that is seen at once."""
    if not kernels:
        return
    chosen = spec.select(spec.known(args.targets), args.target, args.arch, kernels)
    check_abis(args.abi, chosen)
    archs = dict.fromkeys(row.arch for row in chosen if row.booted)
    for kernel in kernels:
        try:
            mistakes.check(kernel, archs)
        except UsageError as error:
            raise UsageError(str(error).replace("--kernel ", "", 1)) from None


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
    results = results_home() / f"diff-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{label}"
    given = vars(args) | {"kernel": [kernel], "results": str(results)}
    words = options.spelled(given, lambda _, path: path if path == kernel else str(Path(path).resolve()))
    say(f"running every claim on {kernel}")
    done = subprocess.run(
        suites_command(["-q", *words]),
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
