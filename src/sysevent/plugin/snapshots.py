"""After the last verdict was printed: whether the snapshots that the run has saved can be restored."""

from __future__ import annotations

import pytest

from sysevent.plugin.run import RUN

# Seconds for all targets of a run together; 0.3 each are usual.
_TRIALS = 2.0


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Try them, but not after a signal."""
    if RUN in config.stash:
        config.stash[RUN].try_snapshots(_TRIALS)
