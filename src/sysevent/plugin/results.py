"""The directory of a run's results and its log: one for the session, for any number of processes."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sysevent
from sysevent.checkout import ROOT
from sysevent.report import records
from sysevent.report.run_log import RunLog, path_in

# The key of the directory in the input that pytest-xdist gives its workers.
_WORKER = "sysevent_results"


def opened(config: pytest.Config, shared: Path | None = None) -> tuple[Path, RunLog]:
    """Create the directory of this session's results and its log, whose first record describes the run.

    shared: a directory that other processes write to as well.
    """
    start = datetime.now(UTC)
    given = getattr(config, "workerinput", {})
    if _WORKER in given:
        shared = Path(given[_WORKER])
    path = shared or _own(config.getoption("results"), start)
    path.mkdir(parents=True, exist_ok=True)
    log, first = RunLog.shared(path_in(path))
    if first:
        log.write(
            records.Run(
                schema=records.SCHEMA,
                id=f"{start:%Y%m%dT%H%M%SZ}-{os.getpid()}",
                start=start.isoformat(timespec="seconds"),
                argv=tuple(given.get("mainargv", sys.argv)),
                versions={
                    "sysevent": sysevent.__version__,
                    "python": platform.python_version(),
                    "pytest": pytest.__version__,
                },
            )
        )
        if path.parent == ROOT / "results":
            _point(path.parent / "latest", path.name)
    return path, log


def refuse_unusable(config: pytest.Config) -> None:
    """UsageError if --results holds another run or cannot be written to; before anything is collected."""
    asked = config.getoption("results")
    if not asked or hasattr(config, "workerinput"):
        return
    path = _fresh(asked)
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is not a directory"
        raise pytest.UsageError(f"--results {asked} cannot be used: {there} {why}; name another place")


def hand_over(workerinput: dict[str, Any], path: Path) -> None:
    """Tell a worker of pytest-xdist which directory it shares with the others."""
    workerinput[_WORKER] = str(path)


def planned(config: pytest.Config) -> Path:
    """The directory that the workers of this session will share; it is not created yet."""
    asked = config.getoption("results")
    if asked:
        return _fresh(asked)
    # The process id makes names of the same second differ: the directory is created later, by a worker.
    return ROOT / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{os.getpid()}"


def _own(asked: str | None, start: datetime) -> Path:
    """A new directory for this run alone."""
    if asked:
        return _fresh(asked)
    base = ROOT / "results"
    base.mkdir(exist_ok=True)
    name = f"{start:%Y-%m-%dT%H-%M-%S}"
    for suffix in ("", *(f"-{n}" for n in range(2, 100))):
        path = base / f"{name}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise pytest.UsageError(f"{base} cannot take another run of this second")


def _fresh(asked: str) -> Path:
    """The absolute path of --results; UsageError if another run is in it."""
    path = Path(asked)
    if path_in(path).exists():
        raise pytest.UsageError(f"--results {asked} holds another run's results: name a new directory")
    return path.absolute()


def _point(link: Path, to: str) -> None:
    """Make link point to another directory, in one step for those who read it."""
    part = link.with_name(f".latest-{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(to)
    part.replace(link)
