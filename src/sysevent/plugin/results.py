"""Where a run's results go, and its log: one for the session, however many processes write to it."""

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
from sysevent.report.run_log import RunLog

LOG = "run.jsonl"
_WORKER = "sysevent_results"  # in what pytest-xdist hands its workers


def opened(config: pytest.Config, shared: Path | None = None) -> tuple[Path, RunLog]:
    """The directory of this session's results, made now, and its log, which says what run it is of.

    shared is a directory into which workers have written, or will.
    """
    start = datetime.now(UTC)
    given = getattr(config, "workerinput", {})
    if _WORKER in given:
        shared = Path(given[_WORKER])
    path = shared or _own(config.getoption("results"), start)
    path.mkdir(parents=True, exist_ok=True)
    log, first = RunLog.shared(path / LOG)
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
    """UsageError before anything is collected when --results is another run's, or cannot be; workers share one."""
    asked = config.getoption("results")
    if not asked or hasattr(config, "workerinput"):
        return
    path = _fresh(asked)
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is no directory"
        raise pytest.UsageError(f"--results {asked} cannot be used: {there} {why}; name another place")


def hand_over(workerinput: dict[str, Any], path: Path) -> None:
    """Let a worker of pytest-xdist write to the same log as all others, when it has something to write."""
    workerinput[_WORKER] = str(path)


def planned(config: pytest.Config) -> Path:
    """The directory that the workers of this session will share. Nothing is made yet."""
    asked = config.getoption("results")
    if asked:
        return _fresh(asked)
    # No two sessions of one second may choose the same name, and nobody holds it by making it.
    return ROOT / "results" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{os.getpid()}"


def _own(asked: str | None, start: datetime) -> Path:
    """A directory of this run's own."""
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
    path = Path(asked)
    if (path / LOG).exists():
        raise pytest.UsageError(f"--results {asked} holds another run's results: name a new directory")
    return path.absolute()


def _point(link: Path, to: str) -> None:
    part = link.with_name(f".latest-{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(to)
    part.replace(link)
