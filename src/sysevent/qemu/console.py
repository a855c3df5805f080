"""The guest's console: logged, watched for the ways in which a kernel says that it dies."""

from __future__ import annotations

import re
import socket
from pathlib import Path

_TAIL = 40  # lines of a console that go into an incident
_GULP = 1 << 18  # bytes taken in at a time: a guest that never stops talking must not keep us
_SEND = 30  # seconds; a guest that takes nothing for so long is lost

# What Linux prints when it is lost, the most telling first. kernel/panic.c, arch/*/mm/fault.c, kernel/watchdog.c
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
    """The worst that a console's text tells: (panic, oops or lockup; the line that says so). None: nothing."""
    for kind, pattern in TROUBLE:
        found = pattern.search(text)
        if found:
            return kind, escape(found.group())
    return None


def escape(text: str) -> str:
    """Text of a guest with nothing in it that a terminal would act on; line ends stay."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text.replace("\r", "")
    )


class Console:
    """One end of a guest's serial line: a plain socket, since nobody waits for a prompt here."""

    def __init__(self, connection: socket.socket, log: Path) -> None:
        self.log = log
        self._file = log.open("wb")
        self._socket = connection
        self._socket.setblocking(False)
        self._text = bytearray()
        self.open = True

    def fileno(self) -> int:
        return self._socket.fileno()

    def pump(self) -> bytes:
        """Some of what came since the last time, also into the log; does not wait."""
        fresh = b""
        while self.open and len(fresh) < _GULP:
            try:
                piece = self._socket.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                piece = b""
            self.open = piece != b""
            fresh += piece
        self._file.write(fresh)
        self._file.flush()
        return fresh

    def note(self, text: bytes) -> None:
        """What of the pumped bytes is the guest's text, to be searched for trouble."""
        self._text += text
        del self._text[:-262144]

    def send(self, data: bytes) -> None:
        """To the guest, on a console that is its channel, too; OSError when it takes nothing any more."""
        self._socket.settimeout(_SEND)
        try:
            self._socket.sendall(data)
        finally:
            self._socket.setblocking(False)

    def trouble(self) -> tuple[str, str] | None:
        return trouble(self._text.decode(errors="replace")) if self._text else None

    def tail(self) -> str:
        """The last lines, safe to print."""
        return "\n".join(escape(self._text.decode(errors="replace")).splitlines()[-_TAIL:])

    def close(self) -> None:
        self.open = False
        self._socket.close()
        self._file.close()
