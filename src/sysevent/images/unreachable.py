"""Small files that a mirror did not give: several guests ask for the same one, and a dead mirror takes minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sysevent.errors import DownloadFailed, copy_of

T = TypeVar("T")
# Seconds in which a URL that failed is not asked for again: the guests of a run start within them.
_FOR = 60.0


class _Failure(NamedTuple):
    error: DownloadFailed
    attempts: int
    # On the clock.
    when: float


# By URL, of this process.
_failures: dict[str, _Failure] = {}
_locks: dict[str, threading.Lock] = {}


def asked(url: str, attempts: int, ask: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> T:
    """Return what ask() returns: the content of a URL, which it tries to obtain so many times.

    One thread asks for a URL at a time. If it fails, the others, and all that come within a minute and would not try
    more often, raise the same DownloadFailed at once.
    """
    with _locks.setdefault(url, threading.Lock()):
        known = _failures.get(url)
        if known and attempts <= known.attempts and clock() - known.when < _FOR:
            raise copy_of(known.error)
        try:
            return ask()
        except DownloadFailed as error:
            # Not a mirror's answer that it has no such file, which comes at once and has a class of its own.
            if type(error) is DownloadFailed:
                _failures[url] = _Failure(error, attempts, clock())
            raise
