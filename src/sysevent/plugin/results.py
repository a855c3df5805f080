"""The directory of a run's results and its log: one for the session, for any number of processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sysevent.checkout import obstacle, results_home
from sysevent.plugin.mistakes import asks_suites
from sysevent.report.run_log import RunLog, beginning, path_in

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
        argv = given.get("mainargv", sys.argv)
        log.write(beginning(start, argv, pytest=pytest.__version__))
    return path, log


def point_to(path: Path) -> None:
    """Make the link "latest" in the usual place for results point to this directory, if it is there."""
    if path.parent == results_home():
        _point(path.parent / "latest", path.name)


def discard(path: Path, logs: Iterable[Path]) -> None:
    """Remove a log that says nothing of a kernel and the logs of its guests; and the directory, if that was all.

    logs: the directories of the guests' logs. What else is in the directory of --results is the user's.
    """
    path_in(path).unlink(missing_ok=True)
    for folder in logs:
        shutil.rmtree(folder, ignore_errors=True)
    # That of --results may have been there before: see reserve().
    if path.parent == results_home():
        with contextlib.suppress(OSError):
            path.rmdir()


def reserve(config: pytest.Config) -> None:
    """Reserve the directory of --results for this session; before anything is collected.

    UsageError if another run uses it or has used it, or if it cannot be written to; without --results, if the usual
    place cannot be written to. It is removed again if nothing was written to it.
    """
    asked = config.getoption("results")
    if hasattr(config, "workerinput"):
        return
    path = _fresh(asked) if asked else results_home()
    if why := obstacle(path):
        if asked:
            raise pytest.UsageError(f"--results {asked} cannot be used: {why}; name another place")
        if asks_suites(config) and not config.option.collectonly:
            raise pytest.UsageError(
                f"no results can be kept in {path}: {why}; name a place with --results DIR"
            )
    if not asked or config.option.collectonly:
        return
    try:
        config.add_cleanup(reserved(path))
    except OSError as error:
        raise pytest.UsageError(f"--results {asked} cannot be used: {error.strerror}") from error
    # Another run may have ended meanwhile.
    _fresh(asked)


def reserved(path: Path) -> Callable[[], None]:
    """Create and lock a directory; return a function that unlocks it and removes it if it is empty.

    The lock is a flock on the directory itself, which the kernel drops with this process and leaves no file. UsageError
    with the process that has it, OSError if the directory cannot be created.
    """
    created = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _lock_holder(directory)
        os.close(directory)
        raise pytest.UsageError(
            f"--results {path} is used by another run{f', pid {holder}' if holder else ''}: name a new directory"
        ) from None
    except OSError:
        # Some network file systems lock no directories. Then only a run that has begun is noticed.
        pass

    def release() -> None:
        # Only what is empty is removed.
        with contextlib.suppress(OSError):
            for place in created:
                place.rmdir()
        os.close(directory)

    return release


def _lock_holder(directory: int) -> int:
    """The process that has the flock of a directory; 0 if it is not known, as for one in another container.

    Source of the format: proc_locks(5).
    """
    found = os.fstat(directory)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()
            if "FLOCK" in words and place in words:
                return max(0, int(words[words.index(place) - 1]))
    return 0


def hand_over(workerinput: dict[str, Any], path: Path) -> None:
    """Tell a worker of pytest-xdist which directory it shares with the others."""
    workerinput[_WORKER] = str(path)


def planned(config: pytest.Config) -> Path:
    """The directory that the workers of this session will share; it is not created yet."""
    asked = config.getoption("results")
    if asked:
        return _fresh(asked)
    # The process id makes names of the same second differ: the directory is created later, by a worker.
    return results_home() / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{os.getpid()}"


def _own(asked: str | None, start: datetime) -> Path:
    """A new directory for this run alone."""
    if asked:
        return _fresh(asked)
    base = results_home()
    base.mkdir(parents=True, exist_ok=True)
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
    """Make link point to another directory, in one step for those who read it; without effect if that fails.

    Two runs that share the directory, but not their process ids, may do this at once.
    """
    with (
        contextlib.suppress(OSError),
        tempfile.TemporaryDirectory(dir=link.parent, prefix=".latest-") as folder,
    ):
        part = Path(folder) / link.name
        part.symlink_to(Path(to))
        part.replace(link)
