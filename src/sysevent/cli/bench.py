"""sysevent bench: how long each step takes, and whether restored guests answer as booted ones do."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sysevent.arches import ARCHITECTURES
from sysevent.bench import measure, peers, plot, snapshot_check, suite
from sysevent.bench.samples import Samples, columns, ratios
from sysevent.cli import show
from sysevent.images.kernel import mistakes, resolve
from sysevent.settings import Settings, from_environment
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec

_COUNTS = (10, 100, 1000, 10_000)
Row = dict[str, float]
"""One run: the value of each quantity by its name."""
# Boots that restored guests are compared with. A vCPU that spins in three instructions is stopped at any of them, and
# with few boots all could be stopped at the same one by chance.
_COLD = 8


def run(args: argparse.Namespace) -> int:
    """Measure, and print every result as soon as it is known."""
    settings = from_environment(snapshots=True)
    targets = spec.select(spec.builtin(), args.target, [], [args.kernel])
    mistakes.check(args.kernel, dict.fromkeys(row.arch for row in targets))
    if args.verify_snapshots:
        return max(_verify(target, settings, args.verify_snapshots) for target in targets)
    values: dict[str, Any] = {}
    drawn: dict[str, dict[str, Samples]] = {}
    for target in targets:
        for name, rows in _milestones(target, settings, args.runs):
            values[name] = rows
            drawn[name] = {k: v for k, v in columns(rows).items() if k not in ("CPU", "MiB")}
        values[f"{target.name} scenarios"] = _growth(target, settings, args.most)
    for words in args.suite:
        values |= _suite(words, args.runs)
    for peer in args.compare:
        for target in targets:
            values[f"{target.name} {peer}"] = _compare(peer, target, settings, args.runs, args.root)
    if args.json:
        Path(args.json).write_text(json.dumps(values, indent=1), encoding="utf-8")
    if args.svg:
        Path(args.svg).write_text(plot.svg("seconds from the start of QEMU", drawn), encoding="utf-8")
    return 0


def _milestones(target: TargetSpec, settings: Settings, runs: int) -> Iterator[tuple[str, list[Row]]]:
    # Not measured: afterwards everything is compiled, and the snapshot exists.
    measure.milestones(target, settings, fresh=False)
    for name, fresh in (("boot", True), ("snapshot", False)):
        rows = [measure.milestones(target, settings, fresh=fresh) for _ in range(runs)]
        _print(f"{target.name} {name}", columns(rows))
        yield f"{target.name} {name}", rows


def _suite(words: str, runs: int) -> dict[str, list[Row]]:
    values = {}
    suite.run(words.split(), fresh=False)
    for name, fresh in (("booting", True), ("from snapshots", False)):
        title = f"pytest {words}, {name}"
        values[title] = [suite.run(words.split(), fresh=fresh) for _ in range(runs)]
        _print(title, columns(values[title]))
    return values


def _print(title: str, found: dict[str, Samples]) -> None:
    shown = "  ".join(f"{name} {samples}" for name, samples in found.items())
    show(f"{title}: {shown}")


def _growth(target: TargetSpec, settings: Settings, most: int) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="sysevent-bench-") as folder:
        found = measure.guest(target, settings, fresh=False, logs=Path(folder))
        try:
            for count, row in measure.scenario_costs(found, [n for n in _COUNTS if n <= most]):
                _print(f"{target.name} {count} scenarios", columns([row]))
                rows.append({"scenarios": float(count)} | row)
        finally:
            found.close()
    return rows


def _verify(target: TargetSpec, settings: Settings, times: int) -> int:
    cold = [snapshot_check.observe_all(target, settings, fresh=True) for _ in range(_COLD)]
    wanted = snapshot_check.reproducible(cold)
    bad = 0
    for number in range(1, times + 1):
        found = snapshot_check.observe_all(target, settings, fresh=False)
        wrong = list(snapshot_check.differences(wanted, found))
        bad += bool(wrong)
        for line in wrong[:5]:
            show(f"{target.name} restore {number}: {line}")
    agreeing = f"{times - bad} of {times} restored guests gave what {_COLD} booted ones agree on"
    show(f"{target.name}: {agreeing}, {len(wanted)} scenarios each")
    return 1 if bad else 0


def _compare(peer: str, target: TargetSpec, settings: Settings, runs: int, root: str | None) -> list[Row]:
    """Runs in pairs: each of the peer's directly before ours, so that the machine is equally busy.

    Ours are measured twice: until the guest has answered its first scenario, and as a whole run, from Enter to the
    prompt, as the peer's are.
    """
    kernel = resolve.find(target.kernel, ARCHITECTURES[target.arch], settings, measure.silent)
    place = Path(root.replace("{arch}", target.arch)) if root else None
    words = ["suites/capability", f"--target={target.name}", f"--kernel={target.kernel}"]
    # Not measured: afterwards everything is compiled, and the snapshot exists.
    suite.run(words, fresh=False)
    rows = []
    for _ in range(runs):
        row = {"theirs": peers.boot(peer, kernel, place)}
        for name, fresh in (("boot", True), ("snapshot", False)):
            row[name] = measure.milestones(target, settings, fresh=fresh)["first record"]
            row[f"{name}, whole run"] = suite.run(words, fresh=fresh)["wall"]
        rows.append(row)
    theirs = [row["theirs"] for row in rows]
    found = columns(rows)
    for name in list(found)[1:]:
        found[f"times faster, {name}"] = ratios(theirs, [row[name] for row in rows])
    _print(f"{target.name} against {peer}", found)
    return rows
