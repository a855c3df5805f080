"""A guest's console: its log, and the messages by which a kernel says that it is lost."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import NamedTuple

from sysevent.capped_log import CappedLog
from sysevent.text import escape, last_lines

# Lines of a console that go into an incident.
_TAIL = 40
# Bytes read by one pump(): a guest that prints without a pause must not keep the caller in a loop.
_PUMP_MAX = 1 << 18
# Bytes of text that are searched for trouble, the latest ones.
_TEXT_MAX = 1 << 18
# Bytes of a line without an end that are searched again when more of it has arrived.
_LINE_MAX = 4096
# Seconds after which a guest that reads nothing is lost.
_SEND_TIMEOUT = 30

# Messages of a lost kernel, the most informative first. Sources: kernel/panic.c, arch/*/mm/fault.c,
# arch/*/kernel/traps.c, kernel/watchdog.c.
TROUBLE = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"Kernel panic - not syncing: [^\r\n]*"),
        ("oops", r"Internal error: [^\r\n]*"),
        ("oops", r"(?:Unable to handle kernel|BUG: unable to handle)[^\r\n]*"),
        ("oops", r"(?:Oops(?: -)?[:\[]|general protection fault|kernel BUG at)[^\r\n]*"),
        ("lockup", r"watchdog: BUG: soft lockup[^\r\n]*"),
    )
)


class _Found(NamedTuple):
    """A sign of a lost kernel."""

    # Index in TROUBLE.
    place: int
    # Whether the line is incomplete, so that the message may become longer.
    unfinished: bool
    message: str


def _search(text: str, *, unfinished: bool = False) -> _Found | None:
    """Return the most informative sign in a text; None if there is none."""
    for place, (_, pattern) in enumerate(TROUBLE):
        found = pattern.search(text)
        if found:
            return _Found(place, unfinished, escape(found.group()))
    return None


def trouble(text: str) -> tuple[str, str] | None:
    """The most informative sign of a lost kernel in a console's text; None if there is none.

    A pair: "panic", "oops" or "lockup", and the message, escaped.
    """
    return _pair(_search(text))


def _pair(found: _Found | None) -> tuple[str, str] | None:
    return None if found is None else (TROUBLE[found.place][0], found.message)


def _better(one: _Found | None, other: _Found | None) -> _Found | None:
    """Return the more informative of two signs; of equal ones the first, unless it is incomplete."""
    known = [sign for sign in (one, other) if sign is not None]
    return min(known, key=lambda sign: (sign.place, sign.unfinished), default=None)


class Console:
    """Our end of a guest's serial line, a socket, with a log of everything that the guest sends."""

    def __init__(self, connection: socket.socket, log: Path) -> None:
        """Take over the connection, which becomes non-blocking, and start the log."""
        self.log = log
        self._file = CappedLog(log)
        self._socket = connection
        self._socket.setblocking(False)
        self._text = bytearray()
        # How much of it trouble() has searched, and what it found there.
        self._searched = 0
        self._found: _Found | None = None
        # True while more can come.
        self.open = True

    def fileno(self) -> int:
        """The socket's file descriptor, for select()."""
        return self._socket.fileno()

    @property
    def log_failure(self) -> str:
        """Why nothing is written to the log any more; "" as long as writing works."""
        return self._file.failed

    def pump(self) -> bytes:
        """Return what has arrived, about _PUMP_MAX bytes at most, and append it to the log; does not wait."""
        pieces, received = [], 0
        while self.open and received < _PUMP_MAX:
            try:
                piece = self._socket.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                piece = b""
            self.open = piece != b""
            pieces.append(piece)
            received += len(piece)
        fresh = b"".join(pieces)
        self._file.write(fresh)
        return fresh

    def note(self, text: bytes) -> None:
        """Keep text of the guest for trouble() and tail(): of the pumped bytes, those that are not frames."""
        self._text += text
        cut = max(0, len(self._text) - _TEXT_MAX)
        del self._text[:cut]
        self._searched = max(0, self._searched - cut)

    def send(self, data: bytes) -> None:
        """Send data to the guest, if the console carries frames as well; OSError if the guest does not read it."""
        self._socket.settimeout(_SEND_TIMEOUT)
        try:
            self._socket.sendall(data)
        finally:
            self._socket.setblocking(False)

    def trouble(self) -> tuple[str, str] | None:
        """Like the function of that name, on all text that was noted; each line is searched once."""
        end = self._text.rfind(b"\n") + 1
        if len(self._text) - end > _LINE_MAX:
            end = len(self._text) - _LINE_MAX
        if end > self._searched:
            self._found = _better(self._found, _search(self._decoded(self._searched, end)))
            self._searched = end
        last = _search(self._decoded(self._searched, len(self._text)), unfinished=True)
        return _pair(_better(self._found, last))

    def _decoded(self, begin: int, end: int) -> str:
        return self._text[begin:end].decode(errors="replace")

    def tail(self) -> str:
        """The last _TAIL lines of the text that was noted, escaped."""
        return "\n".join(last_lines(self._text.decode(errors="replace"), _TAIL))

    def close(self) -> None:
        """Close the connection and the log."""
        self.open = False
        self._socket.close()
        self._file.close()
