"""Requests to one target: sent and answered in order, several in flight, and repeated once after a loss.

An answer counts once the guest has passed a control after it (controls.py). That of an ill guest is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from sysevent.arches import Abi
from sysevent.build.programs import Payload
from sysevent.engine.controls import Controls, IllGuests, suspect
from sysevent.engine.loop import Loop
from sysevent.engine.question import Key
from sysevent.engine.request import Request, decoded
from sysevent.engine.request_queue import RequestQueue
from sysevent.engine.restarts import Restarts
from sysevent.engine.session import Session
from sysevent.errors import (
    BadWire,
    BuildFailed,
    GuestDistrusted,
    GuestIll,
    GuestLost,
    HarnessError,
    SyseventError,
    copy_of,
)
from sysevent.model import Observation
from sysevent.scenario.control import Control
from sysevent.scenario.facts import BUILD
from sysevent.scenario.request import encode
from sysevent.wire import SUPERVISOR

# Seconds that a reply may take beyond its deadline. The VMM keeps it by its own clock, or kills its worker 4 s later
# and says so (GRACE in guests/vmm/serve.c): the rest is for a guest under TCG on a loaded machine.
_LATE = 10.0
# Seconds for a control, which takes 4 ms: after that the guest is lost.
_CONTROL = 15.0


class Pipeline:
    """The requests to one target that are queued or in flight. A Loop waits for it: see Awaited in loop.py."""

    def __init__(
        self,
        restarts: Restarts,
        loop: Loop,
        payload: Callable[[str], Payload],
        on_answer: Callable[[Request], None],
        control: Control,
        control_abi: Abi,
    ) -> None:
        """on_answer: called with each request whose answer counts, unless that is a GuestLost.
        control: asked of every guest, of a VMM of control_abi, to see whether its answers count.
        """
        self._restarts = restarts
        self._loop = loop
        self._payload = payload
        self._on_answer = on_answer
        self._control = control
        self._control_abi = control_abi
        self._controls: Controls[Request] = Controls(restarts.name, control)
        # Why no answer of the session counts any more; its guest is closed by the next who waits for it.
        self._distrusted: SyseventError | None = None
        self._ill_guests = IllGuests()
        # Not sent yet.
        self._queue = RequestQueue()
        # By number, in order.
        self._in_flight: dict[int, Request] = {}
        self._asked: Session | None = None
        # The first request to that session: which kernel it has.
        self._identity: Request | None = None
        # An answer that says that the guest was lost.
        self._loss: GuestLost | None = None
        # The time (time.monotonic()) of the last reply.
        self._last_reply_at = 0.0

    @property
    def idle(self) -> bool:
        """True if no request is queued or in flight, and every answer counts."""
        return not (self._queue or self._in_flight) and not self._controls.waiting

    def prefetch(self, requests: Iterable[Request]) -> None:
        """Queue requests whose answers are not waited for yet; they are ignored after a loss."""
        self._queue.prefetch(requests, {request.key for request in self._unanswered()})

    def stop_prefetch(self) -> None:
        """Discard prefetched requests that are not sent, and those of later calls of prefetch()."""
        self._queue.stop_prefetch()

    def ask(self, request: Request) -> Observation:
        """The answer to a request, which is repeated once, on a guest booted again, if the guest is lost in it.

        GuestLost if the guest is lost twice, or too often in all; GuestIll if the request made two guests ill, or two
        were ill for another reason; else what decode() of scenario/request.py and running() raise.
        """
        losses = 0
        while True:
            # Before the guest is ready, so that it is sent before those that are prefetched.
            self._queue.require(request)
            try:
                self.running()
                try:
                    return self.answer(request)
                except GuestLost as error:
                    losses += not isinstance(error, GuestDistrusted)
                    if losses > 1:
                        self._restarts.explain_losses()
                    self.lost(error, final=losses > 1)
            finally:
                self._queue.require_none()
            if blame := self._ill_guests.blame(suspect(request)):
                self._restarts.explain_losses()
                raise GuestIll(f"{request.scenario.name} makes its guest ill: {blame}")
            request = msgspec.structs.replace(request, answer=None)

    def find_in_flight(self, key: Key) -> Request | None:
        """The request with a key that is in flight, or whose answer does not count yet; None if there is none."""
        return next((request for request in self._unanswered() if request.key == key), None)

    def _unanswered(self) -> Iterator[Request]:
        yield from self._in_flight.values()
        yield from (kept.request for kept in self._controls.waiting)

    def send(self, request: Request) -> None:
        """Send a request as soon as the window permits, for answer(). Raises what running() raises."""
        self._queue.require(request)
        self._send(self.running(), end_of_burst=False)

    def answer(self, request: Request) -> Observation:
        """Wait for the answer to a request that was sent or queued, and return it; raise it if it is an error.

        GuestLost also if the guest is lost before the turn of this request: call lost() then.
        """
        self._loss = None
        if request.answer is None:
            self._loop.wait(self, lambda: request.answer is not None or self._loss is not None)
        if self._loss is not None:
            raise copy_of(self._loss)
        if isinstance(request.answer, SyseventError):
            raise copy_of(request.answer)
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
        if isinstance(error, GuestIll):
            self._ill_guests.add([suspect(kept.request) for kept in self._controls.waiting], error)
            if hopeless := self._ill_guests.hopeless:
                final, error = True, hopeless
                self._restarts.refuse(error)
        self._forget()
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
            if self._restarts.session is None:
                self._restarts.require_startable()
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
        """Take in what has arrived, and send what can be sent. GuestDistrusted if no answer of the guest counts."""
        if self._distrusted is not None:  # also if that has closed the session
            raise copy_of(self._distrusted)
        session = self._restarts.session
        if session is None:
            return
        if not self._restarts.poll():
            return
        try:
            for number, reply in session.replies():
                request = self._in_flight.pop(number)
                self._restarts.kernel_logs.add(request.scenario.name, request.abi.name, reply)
                answer = decoded(request, reply, self._restarts.why_no_kvm)
                self._restarts.identify(answer) if request is self._identity else self._take(request, answer)
            self._send(session, end_of_burst=True)
        except SyseventError as error:
            # Raised again by the next call: this one may be for the background, which ignores errors.
            self._distrusted = error
            raise

    def _send(self, session: Session, *, end_of_burst: bool) -> None:
        """Send what is queued; a control whenever one is due, and at the end unless more is to follow at once."""
        if session is not self._asked:
            self._asked = session
            if self._restarts.expected() is not None:
                self._identity = Request(BUILD[self._restarts.arch.name], self._control_abi)
                self._send_one(session, self._identity)
        while session.open:
            if self._controls.due(end_of_burst=end_of_burst and not self._queue):
                self._send_one(session, Request(self._control.scenario, self._control_abi))
            elif self._queue:
                self._send_one(session, self._queue.pop())
            else:
                return

    def _send_one(self, session: Session, request: Request) -> None:
        control = self._controls.is_control(request)
        request.sent = time.monotonic()
        try:
            request.payloads = {name: self._payload(name) for name in request.scenario.payloads}
            body, deadline = encode(
                request.scenario, request.payloads, None if control else self._controls.patience
            )
        except (BuildFailed, HarnessError) as error:
            if control:
                raise
            request.answer = error
            self._on_answer(request)
            return
        seconds = session.stretch * (_CONTROL if control else deadline / 1000 + _LATE)
        abi = SUPERVISOR if request.scenario.runs_programs else request.abi.number
        self._in_flight[session.send(body, abi, seconds)] = request
        self._controls.sent(request)

    def _take(self, request: Request, answer: Observation | SyseventError) -> None:
        """Keep an answer until a control has passed; if it is that of a control, accept those that were kept."""
        begin, self._last_reply_at = max(self._last_reply_at, request.sent), time.monotonic()
        request.seconds = self._last_reply_at - begin
        if self._controls.is_control(request):
            for kept in self._controls.judge(answer, request.seconds):
                kept.request.answer = kept.answer
                self._restarts.excuse_losses()
                self._on_answer(kept.request)
        elif isinstance(answer, GuestLost):
            request.answer = self._loss = answer
            self.stop_prefetch()
        else:
            behind = sum(not self._controls.is_control(other) for other in self._in_flight.values())
            self._controls.answered(request, answer, behind)

    def wait(self, done: Callable[[], bool]) -> bool:
        """Wait until done() is True; False if no guest runs, nothing is asked, or after an error, for the next wait."""
        try:
            if self._restarts.session is not None:
                self._loop.wait(self, lambda: done() or self.idle)
        except SyseventError as error:
            self._distrusted = error
        return done()

    def _forget(self) -> None:
        """Forget the session's requests, and its answers that do not count yet."""
        self._in_flight.clear()
        self._controls = Controls(self._restarts.name, self._control)
        self._distrusted = None

    def close(self) -> None:
        """Forget what is in flight or does not count yet, and end the guest if it runs."""
        self._forget()
        self._restarts.close()
