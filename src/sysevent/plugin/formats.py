"""Which formats of reports a session is to write, checked before anything is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sysevent.report.exporting import Export


def asked(config: pytest.Config, results: Path | None = None) -> list[Export]:
    """The formats that this process writes: none if it is a worker of pytest-xdist.

    results: the directory of the run's logs, of which a format can show the end; None before the run has one.
    UsageError if two of them are to go to one file.
    """
    words = config.getoption("export")
    if not words or hasattr(config, "workerinput"):
        return []
    # Imported here: most runs write none.
    from sysevent.report import exporting
    from sysevent.report.html import logs

    tails = logs.reader([results] if results else [])
    return exporting.asked(words, {**vars(config.option), "logs": tails})


def remove_old(config: pytest.Config) -> None:
    """Remove the files of an earlier run, which a run that is killed would leave as if they were its own."""
    exports = [] if config.option.collectonly else asked(config)
    if exports:
        from sysevent.report import exporting

        exporting.remove(exports)
