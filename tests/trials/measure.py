"""Injects every fault several times and prints the table of docs/soundness.md.

    PYTHONPATH=src:tests python -m trials.measure [--runs N] [--seed S] [--only TEXT] [--chaos N]

With --chaos it injects N combinations of two faults instead.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from sysevent import settings
from trials.all import FAULTS
from trials.campaign import combine, judge, prime
from trials.catalogue import Fault
from trials.trial import Outcome

# Problems of one trial that are shown.
_SHOWN = 6
# Beginnings of a problem, and the column of the table that counts it.
_COLUMNS = {"hang": "hangs", "process left": "orphans", "file left": "files left"}


def main() -> int:
    """Return the exit code: 1 if anything went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--chaos", type=int, default=0)
    args = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="trials."))
    clean = prime(place, settings.from_environment(offline=True).cache)
    say(f"a clean run: {summary(clean)}")
    if args.chaos:
        return chaos(args.chaos, args.seed, place, clean)
    chosen = [
        one for one in FAULTS.values() if args.only in one.name and not (one.obstacle and one.obstacle())
    ]
    write("| fault | how it is injected | runs | wrong verdicts | hangs | orphans | files left |")
    write("|---|---|---|---|---|---|---|")
    bad = 0
    for fault in chosen:
        count: Counter[str] = Counter()
        for number in range(args.runs):
            wrong = tried(fault, place, args.seed + number, clean)
            bad += bool(wrong)
            for one in wrong:
                count[
                    next((c for begin, c in _COLUMNS.items() if one.startswith(begin)), "wrong verdicts")
                ] += 1
        cells = [count[column] for column in ("wrong verdicts", *_COLUMNS.values())]
        write(f"| {fault.name} | {fault.how} | {args.runs} | {' | '.join(map(str, cells))} |")
    return bool(bad)


def chaos(count: int, seed: int, place: Path, clean: Outcome) -> int:
    """Inject count combinations of two faults; return 1 if anything went wrong."""
    chance, bad = random.Random(seed), 0
    for number in range(count):
        fault = combine(chance)
        wrong = tried(fault, place, seed + number, clean)
        bad += bool(wrong)
    write(f"{count} combinations, seed {seed}: {bad} went wrong")
    return bool(bad)


def tried(fault: Fault, place: Path, seed: int, clean: Outcome) -> list[str]:
    """Inject a fault once, and return what went wrong."""
    wrong, found, after = judge(fault, place, seed, clean)
    say(f"{'WRONG ' if wrong else ''}{fault.name} (seed {seed}): {summary(found)}; then {summary(after)}")
    for one in wrong[:_SHOWN]:
        say(f"    {one}")
    return wrong


def summary(found: Outcome) -> str:
    """The outcome in a few words."""
    counts = Counter(found.verdicts.values())
    shown = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no verdict"
    return f"exit {found.code}, {shown}, {len(found.incidents)} incidents, {found.seconds:.1f} s"


def say(line: str) -> None:
    """Write a line of progress to the standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def write(line: str) -> None:
    """Write a line of the result to the standard output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
