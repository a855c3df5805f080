"""QMP: what QEMU itself says of its machine, most of all why it stopped.

Spoken by hand: of the protocol (docs/interop/qmp-spec.rst) a greeting, one command at a time and events are
used here, on a socket that is ours alone. QEMU's own client brings asyncio along, with a thread for it and
60 ms of imports, a fifth of the time from Enter to a verdict.
"""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Any

from sysevent.errors import GuestLost

_DEADLINE = 30  # seconds for any command; a stopped QEMU must not stop us
_LINE_MAX = 1 << 20


class Monitor:
    """A QMP connection over a socket that QEMU inherited."""

    def __init__(self, connection: socket.socket) -> None:
        self.version = ""  # QEMU's own, "7.2.22", once it has greeted
        self.events: list[tuple[str, dict[str, Any]]] = []  # in the order they came
        self._socket = connection
        self._socket.setblocking(False)
        self._held = bytearray()
        self._answers: list[dict[str, Any]] = []
        self._sequence = 0
        self._open = True
        # Events come once capabilities are agreed on. QEMU reads this after it has sent its greeting.
        self._send("qmp_capabilities", {})

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def open(self) -> bool:
        """Whether more can come."""
        return self._open

    def pump(self) -> None:
        """Take in what QEMU has said by now; does not wait."""
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
        """What a QMP command returns; GuestLost when QEMU refuses it or is not there any more."""
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
        """Send a command and do not wait: it shows in what QEMU does whether it was carried out."""
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
        """Why the machine stopped, in QEMU's words ("guest-reset", "guest-shutdown"); empty when it did not say."""
        self.pump()
        for name, data in reversed(self.events):
            if name == "SHUTDOWN":
                return str(data.get("reason", ""))
        return ""

    def close(self) -> None:
        """Hang up; QEMU may be long gone."""
        self._open = False
        self._socket.close()


def _version(greeting: Any) -> str:
    """QEMU's version in its greeting: {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, ...}, ...}."""
    try:
        parts = greeting["version"]["qemu"]
        return ".".join(str(int(parts[name])) for name in ("major", "minor", "micro"))
    except (KeyError, TypeError, ValueError):
        return ""
