"""Signals that end a session: it ends in order, with the records that it has and one that says why it ended."""

from __future__ import annotations

import contextlib

import pytest

from sysevent import interrupts


def pytest_configure(config: pytest.Config) -> None:
    """Handle signals until the session has ended, in pytest-xdist's workers as well."""
    handling = contextlib.ExitStack()
    handling.enter_context(interrupts.in_order())
    config.add_cleanup(handling.close)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """From here on a signal changes nothing: guests are ended and the log is completed."""
    interrupts.hold()


@pytest.hookimpl(tryfirst=True)
def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Leave out all frames but the last one: pytest would print the values of their arguments.

    It has to be a visible one, without which pytest ends with an AssertionError of its own; pytest.exit() hides its.
    """
    excinfo.traceback = excinfo.traceback.filter(excinfo)[-1:] or excinfo.traceback
