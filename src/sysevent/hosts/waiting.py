"""Waiting for one host: until what is awaited is there, the host is lost, or a deadline has passed."""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from sysevent.hosts.base import Host
from sysevent.wire import Hello, Reply

T = TypeVar("T")


class Wait:
    """How long one host has been waited for, and whether that must end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.since = time.monotonic()
        # Whether anything arrived when the host was listened to last.
        self._got = False
        # The host has ended, and its last words are still arriving.
        self._ending = False

    def restart(self) -> None:
        """Count from now: a wait begins, or what was awaited has arrived and something else is awaited."""
        self.since = time.monotonic()

    def listen(self) -> None:
        """Take in what has arrived at the host."""
        self._got = self.host.listen()

    @property
    def seconds(self) -> float:
        """Since the wait began."""
        return time.monotonic() - self.since

    def check(self, limit: float) -> None:
        """Raise the host's loss when it is lost, or the wait has taken more than limit seconds.

        Take in and look at what has arrived before: however late that was, it counts.
        """
        told = self.host.trouble()
        self._ending = told == "" and self._got
        if told is not None and not self._ending:
            raise self.host.loss(told)
        if self.host.timed and self.seconds > limit:
            raise self.host.loss(f"silent: no answer within {limit:.0f} s")

    def timeout(self, limit: float) -> float:
        """Seconds until check() must be called again, even if nothing arrives."""
        if self._ending:
            return 0
        return max(0.0, limit - self.seconds) if self.host.timed else math.inf


def hello(host: Host) -> Hello:
    """The HELLO of a host, waited for; what hello() and loss() of hosts/base.py raise."""
    return _wait(host, host.hello, host.patience)


def reply(host: Host, number: int, limit: float) -> Reply:
    """The reply to a request, waited for up to limit seconds; what reply() and loss() of hosts/base.py raise."""
    return _wait(host, lambda: host.reply(number), limit)


def _wait(host: Host, awaited: Callable[[], T | None], limit: float) -> T:
    wait = Wait(host)
    wait.listen()
    while (found := awaited()) is None:
        wait.check(limit)
        until_readable(host.sources(), wait.timeout(limit))
        wait.listen()
    return found


def until_readable(sources: Iterable[int], seconds: float) -> None:
    """Return when one of the file descriptors is readable, or the time is over; math.inf is no limit."""
    # Not epoll: the descriptors change between two waits, and registering them there costs a call each.
    with selectors.PollSelector() as selector:
        for source in set(sources):
            selector.register(source, selectors.EVENT_READ)
        selector.select(None if seconds == math.inf else max(0.0, seconds))
