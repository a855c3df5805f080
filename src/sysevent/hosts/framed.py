"""A host that exchanges frames (wire.py): what its transport delivers becomes one HELLO and the replies.

Nothing here waits.
"""

from __future__ import annotations

import abc
import time
from pathlib import Path

from sysevent import wire
from sysevent.errors import InfrastructureError
from sysevent.hosts.base import WINDOW, Failure
from sysevent.model import Progress

# Frames not asked for yet: a guest that never stops sending them must not fill our memory.
_KEPT = 256


class FramedHost(abc.ABC):
    """One VMM at the other end of a transport that has file descriptors. A kind of host defines the transport."""

    def __init__(self, name: str, progress: Progress, hello_timeout: float, activity: str) -> None:
        """hello_timeout and activity: see Host in hosts/base.py."""
        self.name = name
        self.hello_timeout = hello_timeout
        self.activity = activity
        self.seconds_to_ready = 0.0
        self.retried: list[str] = []
        self.incidents: list[str] = []
        self._log_is_incomplete = False
        self.traits: dict[str, str] = {}
        self._progress = progress
        self._arrived: list[wire.Frame] = []
        # The number of the request sent last.
        self._sequence = 0
        # The number of the HELLO that counts.
        self._hello_sequence = 0
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

    def listen(self) -> bool:
        """See hosts/base.py."""
        frames, got = self._take()
        self._arrived += frames
        del self._arrived[:-_KEPT]
        if frames and not self.seconds_to_ready and self._index(wire.Kind.HELLO, self._hello_sequence) >= 0:
            self.seconds_to_ready = time.monotonic() - self._began
        return got

    def hello(self) -> wire.Hello | None:
        """See hosts/base.py."""
        frame = self._frame(wire.Kind.HELLO, self._hello_sequence)
        return None if frame is None else wire.unpack_hello(frame.body)

    def send(self, request: bytes, abi: int) -> int:
        """See hosts/base.py."""
        self._sequence += 1
        data = wire.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, request))
        try:
            self._put(data)
        except OSError as error:
            raise self.loss(f"the channel broke: {error}") from error
        return self._sequence

    def reply(self, number: int) -> wire.Reply | None:
        """See hosts/base.py."""
        frame = self._frame(wire.Kind.REPLY, number)
        return None if frame is None else wire.unpack_reply(frame.body)

    def _frame(self, kind: wire.Kind, sequence: int) -> wire.Frame | None:
        """A frame that has arrived. It and those before it are dropped, which nothing asks for any more."""
        index = self._index(kind, sequence)
        if index < 0:
            return None
        frame = self._arrived[index]
        del self._arrived[: index + 1]
        return frame

    def _index(self, kind: wire.Kind, sequence: int) -> int:
        """Where among the frames that have arrived one is; -1 when it has not."""
        return next(
            (
                index
                for index, frame in enumerate(self._arrived)
                if frame.kind == kind and frame.sequence == sequence
            ),
            -1,
        )
