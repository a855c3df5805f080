"""The guest's console: logged, watched for the ways in which a kernel says that it dies."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pexpect
from pexpect import socket_pexpect

_TAIL = 40  # lines of a console that go into an incident

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
    """One end of a guest's serial line. Not thread-safe, as pexpect is not."""

    def __init__(self, connection: socket.socket, log: Path) -> None:
        self.log = log
        self._file = log.open("wb")
        self._spawn = socket_pexpect.SocketSpawn(connection, timeout=0, maxread=65536)
        self._spawn.logfile_read = self._file
        self._text = bytearray()
        self.open = True

    def fileno(self) -> int:
        return int(self._spawn.fileno())

    def pump(self) -> bytes:
        """What came since the last time, also into the log; does not wait."""
        fresh = b""
        while self.open:
            try:
                fresh += self._spawn.read_nonblocking(65536, timeout=0)
            except (pexpect.TIMEOUT, BlockingIOError):
                break
            except (pexpect.EOF, OSError):
                self.open = False
        self._file.flush()
        return fresh

    def note(self, text: bytes) -> None:
        """What of the pumped bytes is the guest's text, to be searched for trouble."""
        self._text += text
        del self._text[:-262144]

    def send(self, data: bytes) -> None:
        """To the guest, on a console that is its channel, too."""
        self._spawn.send(data)

    def trouble(self) -> tuple[str, str] | None:
        return trouble(self._text.decode(errors="replace"))

    def tail(self) -> str:
        """The last lines, safe to print."""
        return "\n".join(escape(self._text.decode(errors="replace")).splitlines()[-_TAIL:])

    def close(self) -> None:
        self.open = False
        self._spawn.close()
        self._file.close()
