"""A guest's console: its log, and the messages by which a kernel says that it is lost."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from sysevent.capped_log import CappedLog
from sysevent.text import escape, last_lines

# Lines of a console that go into an incident.
_TAIL = 40
# Bytes read by one pump(): a guest that prints without a pause must not keep the caller in a loop.
_PUMP_MAX = 1 << 18
# Bytes of text that are searched for trouble, the latest ones.
_TEXT_MAX = 1 << 18
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


def trouble(text: str) -> tuple[str, str] | None:
    """The most informative sign of a lost kernel in a console's text; None if there is none.

    A pair: "panic", "oops" or "lockup", and the message, escaped.
    """
    for kind, pattern in TROUBLE:
        found = pattern.search(text)
        if found:
            return kind, escape(found.group())
    return None


class Console:
    """Our end of a guest's serial line, a socket, with a log of everything that the guest sends."""

    def __init__(self, connection: socket.socket, log: Path) -> None:
        """Take over the connection, which becomes non-blocking, and start the log."""
        self.log = log
        self._file = CappedLog(log)
        self._socket = connection
        self._socket.setblocking(False)
        self._text = bytearray()
        # True while more can come.
        self.open = True

    def fileno(self) -> int:
        """The socket's file descriptor, for select()."""
        return self._socket.fileno()

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
        del self._text[:-_TEXT_MAX]

    def send(self, data: bytes) -> None:
        """Send data to the guest, if the console carries frames as well; OSError if the guest does not read it."""
        self._socket.settimeout(_SEND_TIMEOUT)
        try:
            self._socket.sendall(data)
        finally:
            self._socket.setblocking(False)

    def trouble(self) -> tuple[str, str] | None:
        """Like the function of that name, on the text that was noted."""
        return trouble(self._text.decode(errors="replace")) if self._text else None

    def tail(self) -> str:
        """The last _TAIL lines of the text that was noted, escaped."""
        return "\n".join(last_lines(self._text.decode(errors="replace"), _TAIL))

    def close(self) -> None:
        """Close the connection and the log."""
        self.open = False
        self._socket.close()
        self._file.close()
