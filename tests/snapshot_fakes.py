"""A QEMU monitor that saves guests, without a QEMU."""

import os

from sysevent.errors import GuestLost
from sysevent.wire import Hello

PAGE = 1 << 20 | 4096
HELLO = Hello(1, 1, "6.12.1", "x86_64", "build")


def rested():
    """Find the guest idle."""


class Monitor:
    """Replaces qemu/monitor.py: writes a stream into the pipe that it is given, and has a guest that runs or not.

    states: of query-migrate, one after the other; the last one is repeated. fails: commands that are refused.
    """

    open = True

    def __init__(self, *states, fails=(), stream=b"stream"):
        self.states, self.fails, self.stream, self.said = list(states) or ["completed"], fails, stream, []
        self.running = True
        self._pipe = -1

    def pass_fd(self, name, fd):
        self._pipe = os.dup(fd)

    def tell(self, command, /, **arguments):
        self.said.append(command)

    def execute(self, command, /, *, within=0, **arguments):
        self.said.append(command)
        if command in self.fails:
            raise GuestLost(f"QEMU refused {command}")
        if command == "migrate":
            assert arguments["uri"] == "fd:snapshot"
            self.running = False
            os.write(self._pipe, self.stream)
            os.close(self._pipe)
        if command == "cont":
            self.running = True
        if command == "query-migrate":
            return {"status": self.states.pop(0) if len(self.states) > 1 else self.states[0]}
        return {}
