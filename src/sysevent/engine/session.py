"""One session with the VMM on one host: started, HELLO received, requests sent in order, lost or closed.

Nothing here waits: engine/loop.py does.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from sysevent.errors import BadWire, GuestLost, SyseventError, copy_of, of_this_machine
from sysevent.hosts.base import Host
from sysevent.hosts.waiting import Wait
from sysevent.model import Progress
from sysevent.wire import Hello, Reply

# Seconds between two progress lines while a host gets ready.
HEARTBEAT = 5.0


class Session:
    """The requests to one host, its replies, and their deadlines."""

    def __init__(
        self, name: str, host: Host, log: Path, origin: str, progress: Progress, heartbeat: float = HEARTBEAT
    ) -> None:
        """The host must not be started yet; origin is "boot", "snapshot" or "running", log its directory."""
        self.name = name
        self.host = host
        self.log = log
        self.origin = origin
        self.hello: Hello | None = None
        self._progress = progress
        self._heartbeat = heartbeat
        self._wait = Wait(host)
        # The time (time.monotonic()) of the next progress line.
        self._next_progress = time.monotonic() + heartbeat
        # What was wrong with the HELLO.
        self._invalid: SyseventError | None = None
        # Why nothing that the host answers counts, known after its HELLO.
        self.refused: SyseventError | None = None
        # Number of each request, and seconds it may take.
        self._in_flight: deque[tuple[int, float]] = deque()

    def start(self) -> None:
        """Start the host and return. Raises what Host.start() raises, after closing the host."""
        try:
            self.host.start()
        except SyseventError:
            self.host.close()
            raise
        except OSError as error:
            # No file descriptor, no memory, or no directory for logs is left.
            self.host.close()
            raise GuestLost(str(of_this_machine(f"{self.name}: it cannot be started", error))) from error

    @property
    def open(self) -> bool:
        """Whether one more request may be in flight."""
        return len(self._in_flight) < self.host.window

    @property
    def stretch(self) -> float:
        """See Host.stretch."""
        return self.host.stretch

    @property
    def traits(self) -> Mapping[str, str]:
        """See Host.traits."""
        return self.host.traits

    def sources(self) -> list[int]:
        """File descriptors that become readable when listen() has something to take in."""
        return self.host.sources()

    def listen(self) -> None:
        """Take in what has arrived."""
        self._wait.listen()

    def receive_hello(self) -> Hello | None:
        """The HELLO; None while it has not arrived. Raises what Host.hello() raises, on each further call as well."""
        if self._invalid is not None:
            raise copy_of(self._invalid)
        try:
            self.hello = self.host.hello()
        except SyseventError as error:
            self._invalid = error
            raise
        return self.hello

    def send(self, request: bytes, abi: int, seconds: float) -> int:
        """Send a request to the VMM with the number abi; return the number of the request.

        Its reply may take this many seconds, counted from when the host is free. Raises what Host.send() raises.
        """
        number = self.host.send(request, abi)
        if not self._in_flight:
            self._wait.restart()
        self._in_flight.append((number, seconds))
        return number

    def replies(self) -> Iterator[tuple[int, Reply | BadWire]]:
        """The replies that have arrived, in order, each with its request's number. An invalid one is a BadWire.

        GuestLost if no reply of this host counts.
        """
        while self._in_flight:
            number, _ = self._in_flight[0]
            found: Reply | BadWire | None
            try:
                found = self.host.reply(number)
            except BadWire as error:
                found = error
            if found is None:
                return
            self._in_flight.popleft()
            self._wait.restart()
            yield number, found

    def begin_wait(self) -> None:
        """Count deadlines from now: none of them runs while the session is not waited for."""
        self._wait.restart()
        self._next_progress = time.monotonic() + self._heartbeat

    def check(self) -> None:
        """Raise the error of Host.loss() if the host is lost or overdue; print a progress line while it gets ready."""
        self._wait.check(self._limit)
        if time.monotonic() > self._next_progress:
            self._next_progress = time.monotonic() + self._heartbeat
            if self.hello is None and self.host.has_deadlines:
                self._progress(f"{self.name}: {self.host.activity}, {self._wait.seconds:.0f} s")

    def timeout(self) -> float:
        """Seconds until check() must be called again, even if nothing arrives."""
        return max(0.0, min(self._wait.timeout(self._limit), self._next_progress - time.monotonic()))

    @property
    def _limit(self) -> float:
        """Seconds that may pass until the next thing that is awaited arrives."""
        if self.hello is None:
            return self.host.hello_timeout
        return self._in_flight[0][1] if self._in_flight else math.inf

    def close(self) -> None:
        """End the host. Safe to call twice."""
        self.host.close()
