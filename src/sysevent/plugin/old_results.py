"""Old runs in the usual place, checkout.results_home(), are deleted at the end of a run, which says so.

report/results_directories.py has the rule. SYSEVENT_KEEP_RESULTS=1 keeps all.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from sysevent import interrupts
from sysevent.checkout import results_home
from sysevent.plugin.run import RUN
from sysevent.report.results_directories import DAYS, NEWEST, old
from sysevent.text import escape_line

# Runs that are deleted at a time, so that the first such run does not take long.
_AT_ONCE = 100


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Delete old runs once everything else is on the screen."""
    if RUN not in config.stash or interrupts.reason():
        return
    run = config.stash[RUN]
    if run.results.parent == results_home() and not run.settings.keep_results:
        for line in deleted(run.results.parent, time.time()):
            terminalreporter.write_line(escape_line(line))


def deleted(folder: Path, now: float) -> Iterator[str]:
    """Delete the old runs in a folder, and yield a line about them if there were any. now is in Unix time."""
    gone = 0
    for path in list(islice(old(folder, now), _AT_ONCE)):
        shutil.rmtree(path, ignore_errors=True)
        gone += not path.exists()
    if gone:
        yield (
            f"deleted {gone} old run{'' if gone == 1 else 's'} in {folder}: the newest {NEWEST} stay, and those of "
            f"{DAYS} days; SYSEVENT_KEEP_RESULTS=1 keeps all"
        )
