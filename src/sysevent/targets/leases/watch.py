"""What a lab's coordinator tells everybody, as `labgrid-client monitor` prints it: that something has happened."""

from __future__ import annotations

import contextlib
import os
import re

from sysevent.targets.leases.client import Client, end

# Warnings go into the same pipe, and prove nothing.
_EVENT = re.compile(rb"^(?:Place|Resource) ", flags=re.MULTILINE)


class Watch:
    """A `labgrid-client monitor`, until end() or its own end, which comes with its coordinator's.

    It prints nothing of how things stand when it begins to listen, a second or more after its start. What happened
    before that it never tells; so nobody may rely on its silence until it is proven.
    """

    def __init__(self, client: Client) -> None:
        self.proven = False  # it has told of an event: it will of all that follow
        self.ended = False
        self._process = client.start("monitor")
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)

    def stirred(self) -> bool:
        """Whether anything was said since the last call, or this is its end. Costs a system call or two."""
        if self.ended:
            return True
        said = False
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, 1 << 16):
                said = True
                self.proven = self.proven or _EVENT.search(data) is not None
            said = True  # it has closed its end
        if self._process.poll() is not None:
            self.end()
            return True
        return said

    def end(self) -> None:
        """Any number of times."""
        if not self.ended:
            self.ended = True
            end(self._process)
