"""Watches a lab's coordinator for events, with `labgrid-client monitor`."""

from __future__ import annotations

import contextlib
import os
import re

from sysevent.targets.leases.client import Client, end

# Warnings go into the same pipe, and do not show that the monitor is connected.
_EVENT = re.compile(rb"^(?:Place|Resource) ", flags=re.MULTILINE)


class Watch:
    """A `labgrid-client monitor`. It runs until end(), or until its coordinator ends.

    It connects a second or more after its start, and prints neither the state at that time nor earlier events. So
    its silence means nothing until `connected` is True.
    """

    def __init__(self, client: Client) -> None:
        # True once it has printed an event: it prints all later ones, too.
        self.connected = False
        # True once the process has ended.
        self.ended = False
        self._process = client.start("monitor")
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)

    def has_news(self) -> bool:
        """Return whether it has printed anything since the last call, or has ended. A system call or two."""
        if self.ended:
            return True
        news = False
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, 1 << 16):
                news = True
                self.connected = self.connected or _EVENT.search(data) is not None
            # End of file: it has closed its output.
            news = True
        if self._process.poll() is not None:
            self.end()
            return True
        return news

    def end(self) -> None:
        """End the process; further calls do nothing."""
        if not self.ended:
            self.ended = True
            end(self._process)
