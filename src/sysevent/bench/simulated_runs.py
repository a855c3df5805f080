"""Logs of runs that were not made, of any number and size, to measure what reads them.

    python -m sysevent.bench.simulated_runs DIR 1000 300        # runs, and claims of each
    python -m sysevent.bench.simulated_runs DIR 100 300 50 100  # and kernels of each, and hosts

Each host, of ten if their number is not given, has one run a night. A verdict and its observation are as long as those
of a real run with two exits. A release breaks some claims, a later one repairs them and breaks others; one claim is
flaky, one host is down now and then, and some runs are killed. The same words always give the same logs.
"""

from __future__ import annotations

import datetime
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sysevent.model import Status
from sysevent.report import run_log

_FIRST = datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.UTC)
# struct kvm_run after a system event, 320 bytes, and what else a verdict and an observation have of such an exit.
_HEAD = "00" * 8 + "18000000" + "aa" * 4 + "00" * 16 + "0100000001000000" + "00" * 128 + "aa" * 152
_REGISTERS = list(range(0xFFFF_0000_0000_0000, 0xFFFF_0000_0000_0000 + 35))
_BROKEN_FROM, _REPAIRED_FROM = 12, 18


def run_lines(
    number: int, claims: int, kernels: int, hosts: int, chance: random.Random
) -> Iterator[dict[str, Any]]:
    """Yield the records of one run: each kernel is asked each claim on a target of its own."""
    start = _FIRST + datetime.timedelta(days=number // hosts, seconds=number % hosts)
    yield {
        "record": "run",
        "schema": 1,
        "id": f"{start:%Y%m%dT%H%M%SZ}-{number}",
        "start": start.isoformat(timespec="seconds"),
        "argv": ["pytest"],
        "versions": {"sysevent": "0.1.0"},
    }
    host = number % hosts
    for kernel in range(kernels):
        minor = number // (10 * hosts) * 2 + kernel
        release = f"6.{minor}.{number % 7}"
        name = f"board-{host}" + (f"@debian:6.{minor}" if kernels > 1 else "")
        down = host == 7 and chance.random() < 0.1
        for claim in range(claims):
            yield from _judged(claim, name, release, _status(claim, minor, down, chance))
    if chance.random() > 0.01:
        yield {"record": "end", "counts": {}, "exit": 0, "reason": ""}


def _status(claim: int, minor: int, down: bool, chance: random.Random) -> Status:
    if down:
        return Status.MISS
    broken = claim % 40 == 3 and _BROKEN_FROM <= minor < _REPAIRED_FROM
    newly = claim % 97 == 5 and minor >= _REPAIRED_FROM
    flaky = claim == 42 and chance.random() < 0.04
    return Status.FAIL if broken or newly or flaky else Status.SKIP if claim % 11 == 0 else Status.PASS


def _judged(claim: int, target: str, release: str, status: Status) -> Iterator[dict[str, Any]]:
    """Yield what the scenario of a claim gave, and the verdict, as a real run writes them."""
    scenario = f"arm64.psci.off.case{claim}"
    left = {"ret": 0, "errno": 0, "kicked": False, "microseconds": 900, "poison": 170, "head": _HEAD}
    left |= {"tail_changed": 0, "tail_first": 0, "registers": _REGISTERS, "tail": ""}
    yield {
        "record": "observation",
        "target": target,
        "scenario": scenario,
        "arch": "arm64",
        "abi": "arm64",
        "exits": {"exit": left, "again": left},
        "answers": {},
        "symbols": {"call.call": 65536},
        "log": {},
    }
    bad = status is Status.FAIL
    yield {
        "record": "verdict",
        "test": f"kvm.system_event.{scenario}",
        "target": target,
        "kernel": release,
        "abi": "arm64",
        "native": True,
        "status": status.value,
        "level": "abi",
        "reason": "ndata: got 0, expected 1. It exits with its own type."
        if bad
        else "It exits with its own type.",
        "expected": {"ndata": "1"} if bad else {},
        "got": {"ndata": "0"} if bad else {},
        "raw": {"exit": _HEAD, "again": _HEAD},
        "written": {"exit": [[32, 168]], "again": [[32, 168]]},
        "nodeid": f"suites/psci/test_arm64_callers.py::test[{target}-{claim}]",
        "seconds": 0.005 + claim % 5 / 1000,
        "dimensions": {},
        "confirmed": 2 if bad else 0,
        "erratum": "",
    }


def write(folder: Path, runs: int = 1000, claims: int = 300, kernels: int = 1, hosts: int = 10) -> None:
    """Write the logs of so many runs below a folder, each in a results directory of its own."""
    for number in range(runs):
        log = run_log.path_in(folder / f"run-{number:05}")
        log.parent.mkdir(parents=True, exist_ok=True)
        chance = random.Random(number)
        with log.open("w", encoding="ascii") as file:
            file.writelines(
                f"{json.dumps(line)}\n" for line in run_lines(number, claims, kernels, hosts, chance)
            )


def main(folder: str, *numbers: str) -> None:
    """Write what the command line asks for: a directory, then the numbers of runs, claims, kernels and hosts."""
    write(Path(folder), *map(int, numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
