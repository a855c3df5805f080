"""Old runs in the usual place, `results/` of the checkout, are deleted at the end of a run, which says so.

A run stays if it is one of the newest 50, or was written within the last 7 days, or if --results named its directory,
wherever that is. Bisections, repetitions and measurements are never deleted. SYSEVENT_KEEP_RESULTS=1 keeps all.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sysevent import interrupts
from sysevent.checkout import ROOT
from sysevent.plugin.fixtures import RUN
from sysevent.report import run_log
from sysevent.text import escape_line

NEWEST = 50
DAYS = 7
# Runs that are deleted at a time, so that the first such run does not take long.
_AT_ONCE = 100
# As plugin/results.py names them: sorted by name, they are sorted by time.
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:-\d+)?")
# Bytes of the first record of a run that are read.
_FIRST = 1 << 20


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Delete old runs once everything else is on the screen."""
    if RUN not in config.stash or interrupts.reason():
        return
    run = config.stash[RUN]
    if run.results.parent == ROOT / "results" and not run.settings.keep_results:
        for line in deleted(run.results.parent, time.time()):
            terminalreporter.write_line(escape_line(line))


def deleted(folder: Path, now: float) -> Iterator[str]:
    """Delete the old runs in a folder, and yield a line about them if there were any. now is in Unix time."""
    gone = 0
    for path in _old(folder, now):
        shutil.rmtree(path, ignore_errors=True)
        gone += not path.exists()
    if gone:
        yield (
            f"deleted {gone} old run{'' if gone == 1 else 's'} in {folder}: the newest {NEWEST} stay, and those of "
            f"{DAYS} days; SYSEVENT_KEEP_RESULTS=1 keeps all"
        )


def _old(folder: Path, now: float) -> list[Path]:
    """The runs that go, the oldest first, at most _AT_ONCE."""
    found = sorted(
        path
        for path in folder.iterdir()
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )
    old = (path for path in found[:-NEWEST] if now - _written(path) > DAYS * 86400 and not _named(path))
    return [path for path, _ in zip(old, range(_AT_ONCE), strict=False)]


def _written(results: Path) -> float:
    """When something was last added to a run, in Unix time."""
    places = (results, run_log.path_in(results))
    return max((place.stat().st_mtime for place in places if place.exists()), default=0.0)


def _named(results: Path) -> bool:
    """Whether --results named the directory of a run; also if its first record cannot be read."""
    path = run_log.path_in(results)
    try:
        with path.open("rb") as file:
            words = json.loads(file.readline(_FIRST))["argv"]
        return any(str(word).startswith("--results") for word in words)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True
