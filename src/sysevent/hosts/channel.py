"""What is common to all hosts: requests go out, frames come in, and every wait has an end."""

from __future__ import annotations

import abc
import select
import time
from collections.abc import Iterable

from sysevent import wire
from sysevent.errors import InfrastructureError
from sysevent.hosts.base import AHEAD, Nobody, Others
from sysevent.model import Progress

_KEPT = 256  # frames that nobody has asked for yet: a guest that never stops sending them must not fill our memory
_HEARTBEAT = 5  # seconds between two signs of life while a host gets ready


class Conversation(abc.ABC):
    """One VMM at the other end of something that has file descriptors. A kind of host says what that is."""

    def __init__(self, name: str, progress: Progress, others: Others | None) -> None:
        self.name = name
        self.awaited = False
        self.seconds_to_ready = 0.0
        self.retried: list[str] = []
        self.traits: dict[str, str] = {}
        self._progress = progress
        self._others = others or Nobody()
        self._arrived: list[wire.Frame] = []
        self._sequence = 0  # of the request sent last
        self._hello_sequence = 0  # of the HELLO that counts
        self._began = 0.0

    @abc.abstractmethod
    def sources(self) -> list[int]:
        """See hosts/base.py."""

    @abc.abstractmethod
    def _take(self) -> tuple[list[wire.Frame], bool]:
        """The frames that have come, without waiting, and whether anything came at all."""

    @abc.abstractmethod
    def _put(self, data: bytes) -> None:
        """Send bytes; OSError when they cannot get through any more."""

    @abc.abstractmethod
    def _trouble(self) -> str | None:
        """How it was lost, "" when the end of everything says that; None: it is well."""

    @abc.abstractmethod
    def _lost(self, what: str) -> InfrastructureError:
        """What happened, in one sentence, with what explains it behind."""

    @property
    def room(self) -> int:
        """See hosts/base.py."""
        return AHEAD

    def keep(self) -> int:
        """See hosts/base.py. A machine that is not ours alone is never left with something running."""
        return 0

    @property
    def greeted(self) -> bool:
        """See hosts/base.py."""
        return any(
            frame.kind == wire.Kind.HELLO and frame.sequence == self._hello_sequence
            for frame in self._arrived
        )

    def answered(self, number: int) -> bool:
        """See hosts/base.py."""
        return any(f.kind == wire.Kind.REPLY and f.sequence == number for f in self._arrived)

    def send(self, request: bytes, abi: int) -> int:
        """See hosts/base.py."""
        self._sequence += 1
        data = wire.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, request))
        try:
            self._put(data)
        except OSError as error:
            raise self._lost(f"the channel broke: {error}") from error
        return self._sequence

    def reply(self, number: int, deadline: float) -> wire.Reply:
        """See hosts/base.py."""
        return wire.unpack_reply(self._await(wire.Kind.REPLY, number, deadline, "").body)

    def listen(self) -> bool:
        """See hosts/base.py."""
        frames, got = self._take()
        self._arrived += frames
        del self._arrived[:-_KEPT]
        if not self.seconds_to_ready and self.greeted:
            self.seconds_to_ready = time.monotonic() - self._began
        return got

    def _greeting(self, seconds: float, doing: str) -> wire.Hello:
        """Wait for the HELLO that counts."""
        frame = self._await(wire.Kind.HELLO, self._hello_sequence, seconds, doing)
        return wire.unpack_hello(frame.body)

    def _await(self, kind: wire.Kind, sequence: int, seconds: float, doing: str) -> wire.Frame:
        """The next frame of a kind; everything else that can happen meanwhile is GuestLost."""
        self.awaited = True
        try:
            return self._await_frame(kind, sequence, seconds, doing)
        finally:
            self.awaited = False

    def _await_frame(self, kind: wire.Kind, sequence: int, seconds: float, doing: str) -> wire.Frame:
        begin = time.monotonic()
        beat = begin + _HEARTBEAT
        ending = False
        while True:
            for index, frame in enumerate(self._arrived):
                if frame.kind == kind and frame.sequence == sequence:
                    del self._arrived[: index + 1]
                    return frame
            now = time.monotonic()
            if now - begin > seconds:
                raise self._lost(f"silent: no answer within {seconds:.0f} s")
            if now > beat:
                if doing:
                    self._progress(f"{self.name}: {doing}, {now - begin:.0f} s")
                beat = now + _HEARTBEAT
            patience = 0 if ending else min(begin + seconds, beat) - now
            wait_for([*self.sources(), *self._others.sources()], patience)
            self._others.attend()
            # After the others: however long they took, what has come by now counts.
            got = self.listen()
            told = self._trouble()
            # What came right before the end may be the answer.
            ending = told == "" and got
            if told is not None and not ending:
                raise self._lost(told)


def wait_for(sources: Iterable[int], seconds: float) -> None:
    """Until one of the file descriptors is readable, or the time is over."""
    select.select(list(sources), [], [], max(0.0, seconds))
