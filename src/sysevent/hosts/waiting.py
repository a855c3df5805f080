"""Waiting for one host: until what is awaited is there, the host is lost, or a deadline has passed."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from sysevent.hosts.base import Host
from sysevent.wire import Hello, Reply

T = TypeVar("T")

# Seconds between two checks of a deadline, at most.
_CHECK = 5.0
# Seconds between two checks after which this process must have been stopped: by a signal, or with its machine.
_STOPPED = 15.0
# Seconds in which the output of a host that has ended is taken in. It is in buffers, unless another process of the host
# lives on and sends without end.
_LAST_OUTPUT = 5.0


class Wait:
    """One wait for one host: how long it has taken, and whether it must end."""

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        """clock is replaced by tests."""
        self.host = host
        self._clock = clock
        self.since = self._checked = clock()
        # Whether anything arrived when the host was listened to last.
        self._got = False
        # The host has ended, and its output from before the end is still arriving.
        self._ending = False
        # Since when, by the clock; 0 if it has not ended.
        self._ended_at = 0.0

    def restart(self) -> None:
        """Count from now: a wait begins, or what was awaited has arrived and something else is awaited."""
        self.since = self._checked = self._clock()

    def listen(self) -> None:
        """Take in what has arrived at the host."""
        self._got = self.host.listen()

    @property
    def seconds(self) -> float:
        """Seconds since the wait began."""
        return self._clock() - self.since

    def check(self, limit: float) -> None:
        """Raise the error of Host.loss() if the host is lost, or the wait has taken more than limit seconds.

        First take in and process what has arrived: however late it was, it counts.
        """
        self._discount()
        failure = self.host.failure()
        ended = failure is not None and failure.ended
        if ended and not self._ended_at:
            self._ended_at = self._clock()
        self._ending = ended and self._got and self._clock() - self._ended_at < _LAST_OUTPUT
        if failure is not None and not self._ending:
            raise self.host.loss(failure.reason)
        if self.host.has_deadlines and self.seconds > limit:
            raise self.host.loss(f"silent: no answer within {limit:.0f} s")

    def timeout(self, limit: float) -> float:
        """Seconds until check() must be called again, even if nothing arrives."""
        if self._ending:
            return 0
        return min(_CHECK, max(0.0, limit - self.seconds)) if self.host.has_deadlines else math.inf

    def _discount(self) -> None:
        """Do not count the time in which this process did not run: the host may have been stopped as well."""
        now = self._clock()
        if now - self._checked > _STOPPED:
            self.since += now - self._checked
        self._checked = now


class Waker:
    """A pipe by which a thread wakes the main thread, which waits until it is readable."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The file descriptor that is readable after wake(), until clear()."""
        return self._read

    def wake(self) -> None:
        """Make the pipe readable; without effect after close()."""
        # When the pipe is full, the main thread wakes up anyway.
        with contextlib.suppress(OSError):
            os.write(self._write, b"!")

    def clear(self) -> None:
        """Forget all calls of wake() so far."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def close(self) -> None:
        """Close the pipe; the thread may go on calling wake()."""
        write, self._write = self._write, -1
        os.close(write)
        os.close(self._read)


def hello(host: Host) -> Hello:
    """The HELLO of a host, waited for; what hello() and loss() of hosts/base.py raise."""
    return _wait(host, host.hello, host.hello_timeout)


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
