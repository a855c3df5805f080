"""sysevent diff: what two kernels, or two runs, give differently. Exit 0 when nothing differs, else 1."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sysevent import options
from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT
from sysevent.cli import say
from sysevent.doctor.requirements import ensure_qemu, needed_architectures
from sysevent.errors import InfrastructureError, UsageError
from sysevent.report import difference, run_log

_SPOKEN = (0, 1)  # exit codes of pytest after which a run has something to say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.epilog = "RUN: a results directory, its run.jsonl, or a kernel as for --kernel, which is run first"
    options.feed(parser, "diff")


def run(args: argparse.Namespace) -> int:
    """Compare, print, and say with the exit code whether anything differs."""
    before, after = (chosen(load(name, args), args) for name in (args.before, args.after))
    found = difference.compare(before, after)
    if args.json:
        print(json.dumps(msgspec.to_builtins(found), indent=1))
        return 1 if found.differences else 0
    for name, one in (("-", before), ("+", after)):
        for target, seen in one.items():
            print(f"{name} {target}: Linux {seen.facts.release}")
    print("\n".join(difference.lines(found)))
    return 1 if found.differences else 0


def chosen(seen: dict[str, difference.Seen], args: argparse.Namespace) -> dict[str, difference.Seen]:
    """What of a run was asked for with --arch."""
    for arch in args.arch:
        if arch not in ARCHITECTURES:
            raise UsageError(f"--arch {arch}: there are {', '.join(ARCHITECTURES)}")
    return {name: one for name, one in seen.items() if not args.arch or one.facts.arch in args.arch}


def load(name: str, args: argparse.Namespace) -> dict[str, difference.Seen]:
    """What a run saw: a recorded one, or one of a kernel that is run now."""
    path = Path(name).expanduser()
    if (path / "run.jsonl").is_file():
        path = path / "run.jsonl"
    if path.suffix == ".jsonl":
        return difference.load(run_log.read(path))
    if path.is_dir():
        raise UsageError(f"{name} holds no run.jsonl; a built kernel tree is written tree:{name}")
    return difference.load(run_log.read(_run(name, args) / "run.jsonl"))


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
    words = [f"--kernel={kernel}", f"--results={results}", *(["--offline"] if args.offline else [])]
    for option, values in (
        ("--arch", args.arch),
        ("--abi", args.abi),
        ("--target", args.target),
        ("--targets", [str(Path(file).resolve()) for file in args.targets]),
    ):
        words += [f"{option}={value}" for value in values]
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
    if done.returncode not in _SPOKEN or not (results / "run.jsonl").exists():
        tail = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise InfrastructureError(f"{kernel} could not be run (exit code {done.returncode}):\n  {tail}")
    return results
