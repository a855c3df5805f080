"""Boots a kernel and asks it the whole contract: one run of pytest, as `sysevent run` makes it, with a deadline."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.checkout import GUESTS, PACKAGE, ROOT, SUITES
from sysevent.digests import listing
from sysevent.process import die_with_parent
from sysevent.pytest_process import suites_command
from sysevent.report import records, run_log
from sysevent.sensitivity.verdicts import Verdicts
from sysevent.targets.spec import TargetSpec

# Seconds that pytest has to end in order after SIGTERM, and to be killed after SIGKILL.
_GRACE = 30
# pytest's exit code when it was used in a wrong way.
_USAGE = 4
# Packages of src/sysevent that cannot change a verdict; _data has the suites and guests, which count on their own.
_WITHOUT_VERDICTS = ("_data", "bench", "bisect", "cli", "doctor", "interactive", "sensitivity")
_KEPT = (".py", ".c", ".h", ".S", ".ld", ".toml")


class Asks(Protocol):
    """Asks a kernel; tests pass one with recorded answers."""

    def __call__(self, image: Path, logs: Path, deadline: float) -> Verdicts: ...


class Asker:
    """Asks kernels of one target."""

    def __init__(self, target: TargetSpec, locks: Path, options: Sequence[str] = ()) -> None:
        """locks: a directory for the locks of targets. options: further words for pytest, such as --offline.

        A mutant does not wait for the guests of other runs, whose locks are elsewhere: it would miss its deadline.
        """
        self._target = target
        self._locks = locks
        self._options = options

    def __call__(self, image: Path, logs: Path, deadline: float) -> Verdicts:
        """Run all suites on the kernel in a boot image. logs, a directory, is removed first.

        deadline: seconds after which the run is ended. What it has found until then counts.
        """
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        row = msgspec.structs.replace(self._target, name=f"{self._target.name}-mutants", kernel=str(image))
        rows = logs / "targets.toml"
        rows.write_text(target_file(row), encoding="utf-8")
        words = [
            f"--targets={rows}",
            f"--target={row.name}",
            f"--results={logs / 'run'}",
            "--fresh",
            "-q",
            "-p",
            "no:cacheprovider",
            *self._options,
        ]
        begin = time.monotonic()
        self._locks.mkdir(parents=True, exist_ok=True)
        env = os.environ | {"SYSEVENT_LOCKS": str(self._locks)}
        code = run(suites_command(words), env, logs / "pytest.out", deadline)
        seconds = time.monotonic() - begin
        obstacle = f"not finished after {deadline:.0f} s" if code is None else ""
        if code == _USAGE:
            obstacle = f"pytest ended with exit code {code}: see {logs / 'pytest.out'}"
        return read(logs / "run", obstacle, seconds)


def read(results: Path, obstacle: str, seconds: float) -> Verdicts:
    """Return the verdicts in the results of a run; obstacle and seconds as in Verdicts."""
    path = run_log.path_in(results)
    statuses, build_id, ended = {}, "", False
    for record in run_log.read(path) if path.exists() else ():
        if isinstance(record, records.Verdict):
            name = record.test if record.native else f"{record.test}@{record.abi}"
            # The last one counts.
            statuses[name] = record.status
        elif isinstance(record, records.Target):
            build_id = record.build_id
        elif isinstance(record, records.End):
            ended = True
    if not obstacle and not ended:
        # As with a full disk: the claims that are not in it were not judged.
        obstacle = f"the log of the run has no end: see {results.parent / 'pytest.out'}"
    return Verdicts(statuses, build_id, obstacle, round(seconds, 2))


def target_file(target: TargetSpec) -> str:
    """Return the text of a target file with one row, which has what differs from the defaults."""
    default = TargetSpec(name="", arch=target.arch, where=target.where)
    lines = [f'arch = "{target.arch}"', f'where = "{target.where}"']
    for field in ("name", *target.kind.keys):
        value = getattr(target, field)
        if value != getattr(default, field):
            # A string of JSON is one of TOML as well.
            lines.append(f"{field} = {msgspec.json.encode(value).decode()}")
    return "\n".join(["[[target]]", *lines, ""])


def asking_key(target: TargetSpec) -> str:
    """Return 16 hex digits that change with everything that decides a verdict: claims, VMM, harness and target."""
    total = hashlib.sha256(target_file(target).encode())
    for root in (SUITES, GUESTS):
        total.update(listing(root, lambda name: name.suffix in _KEPT))
    total.update(
        listing(PACKAGE, lambda name: name.suffix in _KEPT and name.parts[0] not in _WITHOUT_VERDICTS)
    )
    return total.hexdigest()[:16]


def run(command: Sequence[str], env: Mapping[str, str], output: Path, deadline: float) -> int | None:
    """Run a command to its end, with its output in a file, and return its exit code; None if the deadline ended it.

    An exception, such as that of Ctrl-C, ends it as well.
    """
    # What pytest starts ends with it: QEMU by PR_SET_PDEATHSIG.
    with output.open("wb") as file:
        process = subprocess.Popen(
            die_with_parent(command, "TERM"),
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                break
            os.killpg(process.pid, number)
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                continue
