"""A QMP client: commands to QEMU, and its events, above all the reason why a guest stopped.

Of the protocol (docs/interop/qmp-spec.rst) it uses the greeting, one command at a time, and events, on a socket that
no other client uses. QEMU's own client needs asyncio with a thread of its own and 60 ms of imports, a fifth of the time
from Enter to a verdict.
"""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Any

from sysevent.errors import GuestLost

# Seconds for any command, so that a stopped QEMU does not stop the harness.
_DEADLINE = 30
# Bytes of one line; a longer one closes the connection.
_LINE_MAX = 1 << 20


class Monitor:
    """A QMP connection over a socket that QEMU inherited."""

    def __init__(self, connection: socket.socket) -> None:
        # QEMU's version, such as "7.2.22"; "" before the greeting.
        self.version = ""
        # Name and data of each event, in the order of arrival.
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._socket = connection
        self._socket.setblocking(False)
        self._held = bytearray()
        self._answers: list[dict[str, Any]] = []
        self._sequence = 0
        self._open = True
        # QEMU sends events only after this command. It reads it after it has sent its greeting.
        self._send("qmp_capabilities", {})

    def fileno(self) -> int:
        """The file descriptor of the connection, for select()."""
        return self._socket.fileno()

    @property
    def open(self) -> bool:
        """False once the connection has ended; nothing more arrives then."""
        return self._open

    def pump(self) -> None:
        """Read everything that QEMU has sent so far, without waiting."""
        while self._open:
            try:
                piece = self._socket.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                piece = b""
            self._open = piece != b""
            self._held += piece
            if len(self._held) > _LINE_MAX:
                self._open = False
        *lines, rest = bytes(self._held).split(b"\n")
        self._held = bytearray(rest)
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "QMP" in said:
            self.version = _version(said["QMP"])
        elif "event" in said:
            data = said.get("data")
            self.events.append((str(said["event"]), data if isinstance(data, dict) else {}))
        elif "id" in said:
            self._answers.append(said)

    def execute(self, command: str, /, **arguments: Any) -> Any:
        """The return value of a QMP command.

        Raises GuestLost when QEMU rejects it, has closed the connection, or does not answer within 30 s.
        """
        number = self._send(command, arguments)
        end = time.monotonic() + _DEADLINE
        while True:
            self.pump()
            for answer in self._answers:
                if answer["id"] == number:
                    self._answers.clear()
                    if "return" not in answer:
                        raise GuestLost(f"QEMU refused {command}: {answer.get('error')}")
                    return answer["return"]
            left = end - time.monotonic()
            if not self._open or left <= 0:
                why = "it did not answer" if self._open else "it has closed its monitor"
                raise GuestLost(f"QEMU did not carry out {command}: {why}")
            select.select([self._socket], [], [], left)

    def tell(self, command: str, /, **arguments: Any) -> None:
        """Send a command without waiting for its answer, which is discarded."""
        self._send(command, arguments)

    def _send(self, command: str, arguments: dict[str, Any]) -> int:
        self._sequence += 1
        line = {"execute": command, "arguments": arguments, "id": self._sequence}
        try:
            self._socket.sendall(json.dumps(line).encode() + b"\n")
        except OSError:
            self._open = False
        return self._sequence

    def stop_reason(self) -> str:
        """The reason of the last SHUTDOWN event, such as "guest-reset" or "guest-shutdown"; "" when there was none."""
        self.pump()
        for name, data in reversed(self.events):
            if name == "SHUTDOWN":
                return str(data.get("reason", ""))
        return ""

    def close(self) -> None:
        """Close the connection. Safe to call twice, and after QEMU has ended."""
        self._open = False
        self._socket.close()


def _version(greeting: Any) -> str:
    """The version in QEMU's greeting, {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, …}, …}; or ""."""
    try:
        parts = greeting["version"]["qemu"]
        return ".".join(str(int(parts[name])) for name in ("major", "minor", "micro"))
    except (KeyError, TypeError, ValueError):
        return ""
