"""Signals that end this process in order: its guests end, and what was obtained is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

# A terminal's Ctrl-C and Ctrl-\, the end of a login or of a terminal, and what CI systems, systemd and `timeout` send.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# Seconds in which a second signal changes nothing: the exception of the first one is on its way.
_SETTLE = 2.0
# Seconds that the end may take. A signal after that ends this process at once, and what it has started dies with it:
# see process.py.
_PATIENCE = 30.0


class Interrupted(KeyboardInterrupt):
    """One of the signals has arrived; the argument is its name."""


class Interrupts:
    """The handler of the signals, and which one came first."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, leave: Callable[[int], object] = os._exit
    ) -> None:
        """clock and leave are replaced by tests."""
        # None as long as no signal has arrived.
        self.first: signal.Signals | None = None
        # True while the process ends: from then on no signal raises an exception.
        self.held = False
        self._since = 0.0
        self._clock = clock
        self._leave = leave

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise Interrupted, unless the process is ending already; end the process if that takes too long."""
        now = self._clock()
        if self.first is None:
            self.first, self._since = signal.Signals(number), now
        elif now - self._since > _PATIENCE:
            self._leave(128 + number)
        elif now - self._since < _SETTLE:
            return
        if not self.held:
            raise Interrupted(self.first.name)

    @property
    def reason(self) -> str:
        """The name of the signal that came first; "" if there was none."""
        return self.first.name if self.first else ""

    @property
    def exit_code(self) -> int:
        """The exit code of a process that a signal has ended, as shells have it: 130 for SIGINT."""
        return 128 + (self.first or signal.SIGINT)


_current: Interrupts | None = None


def reason() -> str:
    """The name of the signal that ends this process; "" if there was none."""
    return _current.reason if _current else ""


def hold() -> None:
    """Raise no exception for a signal from now on: this process is ending."""
    if _current is not None:
        _current.held = True


@contextlib.contextmanager
def in_order() -> Iterator[Interrupts]:
    """Handle the signals of ENDING while the context lasts. Within another one of these, that one goes on.

    Signals that this process ignores, as under nohup or as a background job of a script, stay ignored.
    """
    global _current
    if _current is not None:
        yield _current
        return
    _current = found = Interrupts()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN and handler is not None:
                before[number] = signal.signal(number, found.handle)
    try:
        yield found
    finally:
        for number, handler in before.items():
            # After a first signal this process is about to exit: a second one must not change its exit code.
            signal.signal(number, signal.SIG_IGN if found.held and found.first else handler)
        _current = None
