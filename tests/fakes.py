"""Fake hosts: they implement the protocols of hosts/base.py, which mypy checks, and behave as a test sets them."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sysevent.arches import Architecture
from sysevent.build.programs import Payload
from sysevent.errors import BadWire, GuestLost, InfrastructureError, SyseventError
from sysevent.hosts.base import ENDED, WINDOW, Failure, Host
from sysevent.model import ExpectedKernel, KernelImage, Progress
from sysevent.scenario.control import Control
from sysevent.scenario.request import encode
from sysevent.scenario.steps import File, Scenario, Sleep
from sysevent.settings import Settings
from sysevent.wire import VERSION, Hello, Op, Reply, Result, State

T = TypeVar("T")

# A file descriptor that is always readable.
READABLE = os.eventfd(1, os.EFD_CLOEXEC)

LOST = GuestLost("lost: panic")
HELLO = Hello(VERSION, 1, "6.12.1", "x86_64", "id")


def scenario(name: str, milliseconds: int = 1) -> Scenario:
    """Return a scenario that only sleeps, for the architecture that its name begins with: "x86_64.a"."""
    return Scenario(name, name.partition(".")[0], (Sleep(milliseconds),))


# A control of fake guests: they are ill if they lack this file.
CONTROL = Control(
    Scenario("x86_64.control", "x86_64", (File("control", "control"),)),
    lambda seen: "" if seen.answers["control"].ret == 0 else "it lacks its file",
)
_CONTROL_REQUEST, _ = encode(CONTROL.scenario, {})
# Replies to a control of which the guest is ill.
ILL = Reply(State.DONE, 0, (Result(Op.FILE, 0, -1, 2, b""),))
STUCK = Reply(State.STUCK, 1, ())


def payload(_arch: Architecture, name: str, _settings: Settings) -> Payload:
    """Return a payload that is not compiled."""
    return Payload(name, (), 0, {})


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until a condition that another thread makes true; AssertionError after that many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Counter:
    """Counts the hosts that run at a time, over all openers that share it, and records the order of their starts."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.started: list[str] = []
        self._lock = threading.Lock()

    def start(self, name: str) -> None:
        """Count a host that starts."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.started.append(name)

    def end(self) -> None:
        """Count a host that has ended."""
        with self._lock:
            self.now -= 1


class FakeOpener:
    """Opens fake hosts. Tests set what these do, and read what was done with them.

    Each entry of a list is used once, in order: an error is raised, or says how the host is lost.
    """

    log = "console.log"

    def __init__(self, name: str = "x", counter: Counter | None = None, *, origin: str = "boot") -> None:
        self.name = name
        self.origin = origin
        self.counter = counter or Counter()
        self.hosts: list[FakeHost] = []
        # Raised by prepare().
        self.refused: SyseventError | None = None
        self.starts: list[SyseventError | None] = []
        self.hellos: list[Hello | SyseventError] = []
        # None: the reply that fits the request.
        self.replies: list[Reply | SyseventError | None] = []
        self.default_hello: Hello | SyseventError = HELLO
        self.default_reply: SyseventError | None = None
        # Replies to controls.
        self.controls: list[Reply | SyseventError | None] = []
        # Bodies of the requests that make a host ill.
        self.poisons: set[bytes] = set()
        # Numbers of requests in which a host is lost.
        self.dead: set[int] = set()
        self.files: dict[str, bytes] = {}
        self.traits: dict[str, str] = {}
        # `retried` and `incidents` of each host.
        self.retried: list[str] = []
        self.incidents: list[str] = []
        self.window = WINDOW
        # Whether a snapshot exists.
        self.snapshot = False
        self.takes_snapshots = False
        # The incident that hello_received() returns.
        self.trouble = ""
        # False: a restored host never sends its HELLO.
        self.restorable_at_all = True
        # None: no host is asked which kernel it has.
        self.expects: ExpectedKernel | None = None
        self.forgotten: list[Hello | None] = []
        self.tried: list[float] = []
        self.hellos_received: list[Hello] = []

    @property
    def sent(self) -> int:
        """The number of requests that were sent to all hosts, without controls."""
        return sum(len(host.sent) for host in self.hosts)

    def kernel(self, progress: Progress) -> KernelImage | None:
        return None

    def prepare(self, progress: Progress) -> None:
        if self.refused is not None:
            raise self.refused

    def expected(self) -> ExpectedKernel | None:
        return self.expects

    def restorable(self) -> bool:
        return self.snapshot

    def open(self, logs: Path, progress: Progress, *, restore: bool) -> Host:
        self.hosts.append(FakeHost(self, logs, restored=restore))
        return self.hosts[-1]

    def hello_received(self, host: Host, hello: Hello, progress: Progress) -> str:
        self.hellos_received.append(hello)
        self.snapshot = self.snapshot or self.takes_snapshots
        return self.trouble

    def try_snapshot(self, within: float) -> None:
        self.tried.append(within)

    def forget(self, hello: Hello | None) -> str:
        self.snapshot = False
        self.forgotten.append(hello)
        return "" if hello else "a snapshot could not be restored, so it boots"


class FakeHost:
    """Sends its HELLO and its replies at once, unless its opener is set to something else."""

    has_deadlines = True
    hello_timeout = 60.0
    stretch = 1.0
    activity = "booting"
    seconds_to_ready = 1.5

    def __init__(self, opener: FakeOpener, logs: Path, *, restored: bool) -> None:
        self.logs = logs
        self.restored = restored
        self.window = opener.window
        self.retried = list(opener.retried)
        self.incidents = list(opener.incidents)
        self.traits = dict(opener.traits)
        # Each request, and its ABI; controls are only counted.
        self.sent: list[tuple[bytes, int]] = []
        self.controls = 0
        self.ill = False
        self.running = False
        self._opener = opener
        self._lost: InfrastructureError | None = None
        self._replies: dict[int, Reply | BadWire] = {}
        self._hello_sent = False

    def start(self) -> None:
        self.running = True
        self._opener.counter.start(self._opener.name)
        error = _next(self._opener.starts, None)
        if error is not None:
            raise error

    def sources(self) -> list[int]:
        return [READABLE] if self._replies or not self._hello_sent else []

    def listen(self) -> bool:
        return False

    def hello(self) -> Hello | None:
        if self._hello_sent or self._lost:
            return None
        if self.restored and not self._opener.restorable_at_all:
            self._lost = LOST
            return None
        found = _next(self._opener.hellos, self._opener.default_hello)
        if isinstance(found, Hello):
            self._hello_sent = True
            return found
        self._fail(found)
        return None

    def send(self, request: bytes, abi: int) -> int:
        assert self.running
        number = len(self.sent) + self.controls + 1
        if request == _CONTROL_REQUEST:
            self.controls += 1
            self._answer(number, request, ILL if self.ill else _next(self._opener.controls, None))
            return number
        self.sent.append((request, abi))
        self.ill = self.ill or request in self._opener.poisons
        if self._lost is None and len(self.sent) in self._opener.dead:
            self._lost = LOST
        self._answer(
            number, request, None if self._lost else _next(self._opener.replies, self._opener.default_reply)
        )
        return number

    def _answer(self, number: int, request: bytes, found: Reply | SyseventError | None) -> None:
        if self._lost is None:
            if isinstance(found, BadWire):
                self._replies[number] = found
            elif isinstance(found, SyseventError):
                self._fail(found)
            else:
                self._replies[number] = found or _answer(request, self._opener.files | {"control": b""})

    def reply(self, number: int) -> Reply | None:
        found = self._replies.pop(number, None)
        if isinstance(found, BadWire):
            raise found
        return found

    def failure(self) -> Failure | None:
        return None if self._lost is None else ENDED

    def loss(self, what: str) -> InfrastructureError:
        return self._lost or GuestLost(f"{self._opener.name}: {what}")

    def keep(self) -> int:
        return 0

    def close(self) -> None:
        if self.running:
            self.running = False
            self._opener.counter.end()

    def _fail(self, error: SyseventError) -> None:
        """Lose this host with an error; an invalid frame is raised instead, and the host goes on."""
        if isinstance(error, InfrastructureError) and not isinstance(error, BadWire):
            self._lost = error
        else:
            raise error


def _next(plan: list[T], default: T) -> T:
    return plan.pop(0) if plan else default


def _answer(request: bytes, files: dict[str, bytes]) -> Reply:
    """Return what a VMM replies to a request of Sleep and File steps."""
    results, at = [], 8
    while at < len(request):
        op, _, size = struct.unpack_from("<HHI", request, at)
        results.append(_result(Op(op), request[at + 8 : at + 8 + size], files))
        at += 8 + size
    return Reply(State.DONE, 0, tuple(results))


def _result(op: Op, body: bytes, files: dict[str, bytes]) -> Result:
    if op is not Op.FILE:
        return Result(op, 0, 0, 0, b"")
    offset, length = struct.unpack_from("<II", body)
    content = files.get(body[8:].decode())
    if content is None:
        return Result(op, 0, -1, 2, b"")
    return Result(op, 0, 0, 0, content[offset : offset + length])


def offsets(sent: Sequence[tuple[bytes, int]]) -> list[tuple[int, int]]:
    """Return the offset and the number of bytes of each request, which has one File step."""
    return [struct.unpack_from("<II", request, 16) for request, _ in sent]
