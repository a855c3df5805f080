"""Requests to one target: sent and answered in order, several in flight, and repeated once after a loss."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from sysevent.arches import Abi
from sysevent.build.programs import Payload
from sysevent.engine.loop import Loop
from sysevent.engine.question import Key
from sysevent.engine.restarts import Restarts
from sysevent.engine.session import Session
from sysevent.errors import BadWire, BuildFailed, GuestLost, HarnessError, SyseventError
from sysevent.model import Observation
from sysevent.scenario.request import decode, encode
from sysevent.scenario.steps import Scenario
from sysevent.wire import Reply

# A reply may take this many times the VMM's own deadline: a guest under TCG on a loaded machine is slow.
_SLOW = 5.0


class Request(msgspec.Struct, eq=False):
    """One scenario to be run once; question.py lists its states."""

    scenario: Scenario
    abi: Abi
    # None: its answer is not remembered.
    key: Key | None = None
    recorded: bool = False
    payloads: dict[str, Payload] = {}
    sent: float = 0.0
    answer: Observation | SyseventError | None = None
    # Duration: from when it was sent, or the host was free for it, to its answer.
    seconds: float = 0.0


class Pipeline:
    """The requests to one target that are queued or in flight. A Loop waits for it: see Awaited in loop.py."""

    def __init__(
        self,
        restarts: Restarts,
        loop: Loop,
        payload: Callable[[str], Payload],
        on_answer: Callable[[Request], None],
    ) -> None:
        """on_answer: called with each request that got its answer, unless that is a GuestLost."""
        self._restarts = restarts
        self._loop = loop
        self._payload = payload
        self._on_answer = on_answer
        # An answer is waited for; not sent yet.
        self._required: deque[Request] = deque()
        # Sent when no required request is left to send.
        self._prefetch: deque[Request] = deque()
        # By number, in order.
        self._in_flight: dict[int, Request] = {}
        # True after a loss: no request is prefetched any more.
        self._no_prefetch = False
        # An answer that says that the guest was lost.
        self._loss: GuestLost | None = None
        # The time (time.monotonic()) of the last reply.
        self._last_reply_at = 0.0

    @property
    def idle(self) -> bool:
        """True if no request is queued or in flight."""
        return not (self._required or self._prefetch or self._in_flight)

    def prefetch(self, requests: Iterable[Request]) -> None:
        """Queue requests whose answers are not waited for yet; they are ignored after a loss."""
        known = {request.key for request in (*self._required, *self._in_flight.values())}
        if not self._no_prefetch:
            self._prefetch.extend(request for request in requests if request.key not in known)

    def stop_prefetch(self) -> None:
        """Discard prefetched requests that are not sent, and those of later calls of prefetch()."""
        self._prefetch.clear()
        self._no_prefetch = True

    def ask(self, request: Request) -> Observation:
        """The answer to a request, which is repeated once, on a guest booted again, if the guest is lost in it.

        GuestLost if the guest is lost twice, or too often in all; else what decode() of scenario/request.py and
        running() raise.
        """
        self._prefetch = deque(other for other in self._prefetch if other.key != request.key)
        for tries_left in (1, 0):
            # Before the guest is ready, so that it is sent before those that are prefetched.
            self._required.append(request)
            try:
                self.running()
                try:
                    return self.answer(request)
                except GuestLost as error:
                    self.lost(error, final=not tries_left)
            finally:
                self._required.clear()
            request = msgspec.structs.replace(request, answer=None)
        raise AssertionError

    def find_in_flight(self, key: Key) -> Request | None:
        """The request in flight with a key; None if there is none."""
        return next((request for request in self._in_flight.values() if request.key == key), None)

    def send(self, request: Request) -> None:
        """Send a request as soon as the window permits; answer() waits for its answer. Raises what running() raises."""
        self._required.append(request)
        self._send(self.running())

    def answer(self, request: Request) -> Observation:
        """Wait for the answer to a request that was sent or queued, and return it; raise it if it is an error.

        GuestLost also if the guest is lost before the turn of this request: call lost() then.
        """
        self._loss = None
        self._loop.wait(self, lambda: request.answer is not None or self._loss is not None)
        if self._loss is not None:
            raise self._loss
        if isinstance(request.answer, SyseventError):
            raise request.answer
        assert request.answer is not None
        return request.answer

    def lost(self, error: GuestLost, *, final: bool = False) -> None:
        """Close a lost guest and forget its requests; raise its error again if final, or no further boot is tried.

        No request is prefetched from now on: one that was in flight may be what lost the guest.
        """
        self.stop_prefetch()
        self._close_lost(error, final=final)

    def _close_lost(self, error: GuestLost | BadWire, *, final: bool) -> None:
        final = final or self._restarts.exhausted
        self._in_flight.clear()
        self._restarts.lost(error, retried=not final)
        if final:
            raise error

    def running(self) -> Session:
        """A session that is ready; a boot that fails is tried once more.

        GuestLost or BadWire if that one fails as well; any other SyseventError is raised by each later call.
        """
        if not self._restarts.ready:
            self._boot()
        assert self._restarts.session is not None
        return self._restarts.session

    def _boot(self) -> None:
        for tries_left in reversed(range(self._restarts.tries)):
            try:
                if self._restarts.session is None:
                    self._restarts.start()
                self._loop.wait(self, lambda: self._restarts.ready)
                return
            except (GuestLost, BadWire) as error:
                self._close_lost(error, final=not tries_left)

    # What the loop calls: see Awaited in engine/loop.py.

    def sources(self) -> list[int]:
        """File descriptors that become readable when advance() has something to take in."""
        return self._restarts.session.sources() if self._restarts.session else []

    def begin_wait(self) -> None:
        """Count deadlines from now."""
        if self._restarts.session is not None:
            self._restarts.session.begin_wait()

    def timeout(self) -> float:
        """Seconds until check() must be called again, even if nothing arrives."""
        assert self._restarts.session is not None
        return self._restarts.session.timeout()

    def check(self) -> None:
        """Raise GuestLost if the host is lost or a deadline has passed; see Restarts.check()."""
        self._restarts.check()

    def advance(self) -> None:
        """Take in what has arrived, and send what can be sent."""
        session = self._restarts.session
        if session is None or not self._restarts.poll():
            return
        for number, reply in session.replies():
            request = self._in_flight.pop(number)
            self._restarts.logs.add(request.scenario.name, request.abi.name, reply)
            self._finish(request, _decoded(request, reply))
        self._send(session)

    def _send(self, session: Session) -> None:
        while session.open and (self._required or self._prefetch):
            request = (self._required or self._prefetch).popleft()
            request.sent = time.monotonic()
            try:
                request.payloads = {name: self._payload(name) for name in request.scenario.payloads}
                body, deadline = encode(request.scenario, request.payloads)
            except (BuildFailed, HarnessError) as error:
                self._finish(request, error)
                continue
            self._in_flight[session.send(body, request.abi.number, deadline / 1000 * _SLOW)] = request

    def _finish(self, request: Request, answer: Observation | SyseventError) -> None:
        begin, self._last_reply_at = max(self._last_reply_at, request.sent), time.monotonic()
        request.answer, request.seconds = answer, self._last_reply_at - begin
        if isinstance(answer, GuestLost):
            self._loss = answer
            self.stop_prefetch()
        else:
            self._on_answer(request)

    def close(self) -> None:
        """Forget what is in flight, and end the guest if it runs."""
        self._in_flight.clear()
        self._restarts.close()


def _decoded(request: Request, reply: Reply | BadWire) -> Observation | SyseventError:
    if isinstance(reply, BadWire):
        return reply
    try:
        return decode(request.scenario, request.payloads, request.abi.name, reply)
    except SyseventError as error:
        return error
