"""Requests to one target: sent in order, several in flight, answered in order, and asked once more after a loss."""

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

# How much longer than the VMM's own deadline a reply may take under TCG on a loaded machine.
_SLOW = 5.0


class Request(msgspec.Struct, eq=False):
    """One scenario to be asked once, in flight, or answered."""

    scenario: Scenario
    abi: Abi
    # None: not to be remembered.
    key: Key | None = None
    recorded: bool = False
    payloads: dict[str, Payload] = {}
    sent: float = 0.0
    answer: Observation | SyseventError | None = None
    # From when it was sent, or the host was free for it, to its answer.
    seconds: float = 0.0


class Pipeline:
    """What is to be asked of one target, and what is in flight. One loop waits for it: see Awaited in loop.py."""

    def __init__(
        self,
        restarts: Restarts,
        loop: Loop,
        payload: Callable[[str], Payload],
        settled: Callable[[Request], None],
    ) -> None:
        """settled is called with each request that has its answer, unless that answer is a lost guest."""
        self._restarts = restarts
        self._loop = loop
        self._payload = payload
        self._settled = settled
        # Waited for, and not sent yet.
        self._wanted: deque[Request] = deque()
        # To be sent when nothing that is waited for is left to send.
        self._ahead: deque[Request] = deque()
        # By the number of each, in order.
        self._flight: dict[int, Request] = {}
        # After a loss: nothing is sent ahead any more.
        self._one_by_one = False
        # An answer that tells of a lost guest.
        self._loss: GuestLost | None = None
        # When the host gave the last reply.
        self._free = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, or left to be sent."""
        return not (self._wanted or self._ahead or self._flight)

    def send_ahead(self, requests: Iterable[Request]) -> None:
        """Queue requests that nothing waits for yet; they are ignored after a loss."""
        known = {request.key for request in (*self._wanted, *self._flight.values())}
        if not self._one_by_one:
            self._ahead.extend(request for request in requests if request.key not in known)

    def stop_ahead(self) -> None:
        """Send nothing ahead any more."""
        self._ahead.clear()
        self._one_by_one = True

    def ask(self, request: Request) -> Observation:
        """The answer to a request, which is asked once more, of a guest booted again, if the guest is lost in it.

        GuestLost when it is lost twice, or too often in all; what decode() of scenario/request.py raises, and what
        running() raises.
        """
        self._ahead = deque(other for other in self._ahead if other.key != request.key)
        for last in (False, True):
            # Before the guest is ready, so that it goes before those ahead.
            self._wanted.append(request)
            try:
                self.running()
                try:
                    return self.answer(request)
                except GuestLost as error:
                    self.lost(error, final=last)
            finally:
                self._wanted.clear()
            request = msgspec.structs.replace(request, answer=None)
        raise AssertionError

    def in_flight(self, key: Key) -> Request | None:
        """The request in flight that will be remembered under a key; None when there is none."""
        return next((request for request in self._flight.values() if request.key == key), None)

    def send(self, request: Request) -> None:
        """Send a request as soon as the window permits; answer() waits for it. The guest must be ready."""
        self._wanted.append(request)
        self._send(self.running())

    def answer(self, request: Request) -> Observation:
        """Wait for the answer to a request that was sent or queued; raise it when it is an error.

        GuestLost also when the guest is lost before its turn: call lost() then.
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
        """Clear up behind a lost guest; raise its error again when it is final, or no further boot is tried.

        What was in flight is lost with it. It may be what lost the guest: from now on nothing is sent ahead.
        """
        final = final or self._restarts.exhausted
        self._flight.clear()
        self.stop_ahead()
        self._restarts.lost(error, retried=not final)
        if final:
            raise error

    def running(self) -> Session:
        """A session whose VMM has said hello; one boot that fails is tried once more.

        GuestLost or BadWire when that one fails, too; any other InfrastructureError is raised by each later call.
        """
        if not self._restarts.ready:
            self._boot()
        assert self._restarts.session is not None
        return self._restarts.session

    def _boot(self) -> None:
        for last in self._restarts.attempts:
            try:
                if self._restarts.session is None:
                    self._restarts.start()
                self._loop.wait(self, lambda: self._restarts.ready)
                return
            except (GuestLost, BadWire) as error:
                # A failed restore does not count as a boot: two of those are still allowed.
                final = last or self._restarts.exhausted
                self._flight.clear()
                self._restarts.lost(error, retried=not final)
                if final:
                    raise

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
        """Raise what stands against waiting any longer."""
        self._restarts.check()

    def advance(self) -> None:
        """Take in what has arrived, and send what can be sent."""
        session = self._restarts.session
        if session is None or not self._restarts.poll():
            return
        for number, reply in session.replies():
            request = self._flight.pop(number)
            self._settle(request, _decoded(request, reply))
        self._send(session)

    def _send(self, session: Session) -> None:
        while session.open and (self._wanted or self._ahead):
            request = (self._wanted or self._ahead).popleft()
            request.sent = time.monotonic()
            try:
                request.payloads = {name: self._payload(name) for name in request.scenario.payloads}
                body, deadline = encode(request.scenario, request.payloads)
            except (BuildFailed, HarnessError) as error:
                self._settle(request, error)
                continue
            self._flight[session.send(body, request.abi.number, deadline / 1000 * _SLOW)] = request

    def _settle(self, request: Request, answer: Observation | SyseventError) -> None:
        begin, self._free = max(self._free, request.sent), time.monotonic()
        request.answer, request.seconds = answer, self._free - begin
        if isinstance(answer, GuestLost):
            self._loss = answer
            self.stop_ahead()
        else:
            self._settled(request)

    def close(self) -> None:
        """Forget what is in flight, and end the guest if it runs."""
        self._flight.clear()
        self._restarts.close()


def _decoded(request: Request, reply: Reply | BadWire) -> Observation | SyseventError:
    if isinstance(reply, BadWire):
        return reply
    try:
        return decode(request.scenario, request.payloads, request.abi.name, reply)
    except SyseventError as error:
        return error
