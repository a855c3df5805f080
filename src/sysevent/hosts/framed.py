"""A host that exchanges frames (wire.py): what its transport delivers becomes one HELLO and the replies.

Nothing here waits.
"""

from __future__ import annotations

import abc
import contextlib
import time
from pathlib import Path

from sysevent import wire
from sysevent.errors import InfrastructureError
from sysevent.hosts.base import WINDOW, Failure
from sysevent.model import Progress

# Bytes that are no answers after which a host counts as lost. The messages of a boot are less than a tenth of it.
FLOOD_MAX = 64 << 20


class FramedHost(abc.ABC):
    """One VMM at the other end of a transport that has file descriptors. A kind of host defines the transport."""

    def __init__(self, name: str, progress: Progress, hello_timeout: float, activity: str) -> None:
        """hello_timeout and activity: see Host in hosts/base.py."""
        self.name = name
        self.hello_timeout = hello_timeout
        self.stretch = 1.0
        self.activity = activity
        self.seconds_to_ready = 0.0
        self.retried: list[str] = []
        self.incidents: list[str] = []
        self._log_is_incomplete = False
        self.traits: dict[str, str] = {}
        self._progress = progress
        self._frames = wire.FrameReader()
        # Of all frames, once the VMM has it: see framing.py.
        self._key = wire.new_key()
        self._has_key = False
        # The VMM's first HELLO, from before it had the key, and the one that has it.
        self._announced: wire.Frame | None = None
        self._hello: wire.Frame | None = None
        # The number of the request sent last.
        self._sequence = 0
        # Replies that have arrived, by the number of their request; None: it has not arrived.
        self._replies: dict[int, wire.Frame | None] = {}
        # Bytes of frames that nothing asked for.
        self._unasked = 0
        self._began = 0.0

    def _create_folder(self, folder: Path) -> None:
        """Create the directory of the logs. Answers count without logs, too."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._note_log(f"{folder} cannot be created: {error.strerror}")

    def _note_log(self, failure: str) -> None:
        """Record why a log cannot be written, if it is not "": once, since all logs of a host are on one disk."""
        if failure and not self._log_is_incomplete:
            self._log_is_incomplete = True
            self.incidents.append(f"{self.name}: its logs are incomplete: {failure}")

    @abc.abstractmethod
    def sources(self) -> list[int]:
        """See hosts/base.py."""

    @abc.abstractmethod
    def _take(self) -> tuple[list[wire.Frame], bool]:
        """The frames that have arrived, without waiting, and whether any bytes arrived."""

    @abc.abstractmethod
    def _put(self, data: bytes) -> None:
        """Send bytes; OSError when the transport does not take them."""

    @abc.abstractmethod
    def failure(self) -> Failure | None:
        """See hosts/base.py."""

    @abc.abstractmethod
    def loss(self, what: str) -> InfrastructureError:
        """See hosts/base.py."""

    @property
    def window(self) -> int:
        """See hosts/base.py."""
        return WINDOW

    @property
    def has_deadlines(self) -> bool:
        """See hosts/base.py."""
        return True

    def keep(self) -> int:
        """See hosts/base.py. On a machine that others use as well, nothing is left running."""
        return 0

    def _readers(self) -> tuple[wire.FrameReader, ...]:
        """Where frames of the VMM can arrive."""
        return (self._frames,)

    def _hand_over_key(self) -> None:
        """Give the VMM the key, with which all its frames begin from then on."""
        self._has_key = True
        for reader in self._readers():
            reader.key = self._key
        # An error shows in failure() and at the next send().
        with contextlib.suppress(OSError):
            self._put(wire.ping(self._key))

    def listen(self) -> bool:
        """See hosts/base.py."""
        frames, got = self._take()
        had_key = self._has_key
        for frame in frames:
            # Those behind the first HELLO are not the VMM's: it waits for the key.
            if self._has_key is had_key:
                self._accept(frame)
        return got

    def _accept(self, frame: wire.Frame) -> None:
        """Keep a frame that is awaited. All others are dropped: a guest that sends them must not fill our memory."""
        if frame.kind == wire.Kind.HELLO and not self._has_key:
            self._announced = frame
            self._hand_over_key()
        elif (
            frame.kind == wire.Kind.HELLO
            and frame.sequence == wire.PING_SEQUENCE
            and not self.seconds_to_ready
        ):
            self.seconds_to_ready = time.monotonic() - self._began
            self._hello = frame
        elif frame.kind == wire.Kind.REPLY and self._replies.get(frame.sequence, frame) is None:
            self._replies[frame.sequence] = frame
        else:
            self._unasked += len(frame.body) + wire.FRAME_OVERHEAD

    def _flood(self) -> Failure | None:
        """The failure of a host that sends without end what is no answer; None if this one does not."""
        count = self._unasked + sum(reader.skipped for reader in self._readers())
        if count <= FLOOD_MAX:
            return None
        return Failure(f"it has sent more than {FLOOD_MAX >> 20} MiB that are no answers to requests")

    def hello(self) -> wire.Hello | None:
        """See hosts/base.py."""
        announced, self._announced = self._announced, None
        if announced is not None:
            # The VMM of another version does not answer.
            wire.unpack_hello(announced.body)
        frame, self._hello = self._hello, None
        return None if frame is None else wire.unpack_hello(frame.body)

    def send(self, request: bytes, abi: int) -> int:
        """See hosts/base.py."""
        self._sequence += 1
        self._replies[self._sequence] = None
        data = wire.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, request), self._key)
        try:
            self._put(data)
        except OSError as error:
            raise self.loss(f"the channel broke: {error}") from error
        return self._sequence

    def reply(self, number: int) -> wire.Reply | None:
        """See hosts/base.py. Those of earlier requests are dropped, which nothing asks for any more.

        The VMM carries out one request after the other, so a reply that a later one has overtaken is lost.
        """
        frame = self._replies.get(number)
        if frame is None:
            if any(reply is not None for reply in self._replies.values()):
                raise self.loss(f"its reply to request {number} is missing: that to a later one has arrived")
            return None
        self._replies = {later: reply for later, reply in self._replies.items() if later > number}
        return wire.unpack_reply(frame.body)
