"""The formats of reports that a run writes at its end, also if a signal has interrupted it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sysevent.checkout import typed
from sysevent.plugin import formats
from sysevent.plugin.run import RUN
from sysevent.plugin.summary import written
from sysevent.text import escape_line

if TYPE_CHECKING:
    from sysevent.report.exporting import Export

# What went wrong, a line each, until it can be printed.
_PROBLEMS = pytest.StashKey[list[str]]()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Write them once the log is complete, and before anything is printed about the run."""
    try:
        return (yield)
    finally:
        config = session.config
        exports = formats.asked(config, config.stash[RUN].results if RUN in config.stash else None)
        if exports and not config.option.collectonly:
            config.stash[_PROBLEMS] = list(_write(config, exports))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which could not be written."""
    for line in config.stash.get(_PROBLEMS, []):
        terminalreporter.write_line(escape_line(line), red=True)


def _write(config: pytest.Config, exports: list[Export]) -> Iterator[str]:
    """Write them from the log on disk; yield a line for each that could not be written."""
    from sysevent.report import exporting

    if RUN not in config.stash:
        yield f"{exports[0].option} was not written: no claim was asked"
        return
    run = config.stash[RUN]
    for export, why in exporting.write(exports, written(run)):
        yield (
            f"--{export.name} could not be written: {why}; the verdicts are not affected, and this writes it again: "
            f"{typed()} report {shlex.quote(str(run.results))} {export.option}"
        )
