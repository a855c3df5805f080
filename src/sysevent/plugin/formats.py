"""Which formats of reports a session is to write, checked before anything is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sysevent.report.exporting import Export


def asked(config: pytest.Config) -> list[Export]:
    """The formats that this process writes: none if it is a worker of pytest-xdist.

    UsageError if two of them are to go to one file.
    """
    words = config.getoption("export")
    if not words or hasattr(config, "workerinput"):
        return []
    # Imported here: most runs write none.
    from sysevent.report import exporting

    return exporting.asked(words, vars(config.option))


def remove_old(config: pytest.Config) -> None:
    """Remove the files of an earlier run, which a run that is killed would leave as if they were its own."""
    exports = [] if config.option.collectonly else asked(config)
    if exports:
        from sysevent.report import exporting

        exporting.remove(exports)
