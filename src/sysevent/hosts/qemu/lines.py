"""The sockets between this process and the QEMU of one guest."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from sysevent.errors import GuestLost
from sysevent.hosts.qemu import keep
from sysevent.qemu import gdb
from sysevent.qemu.argv import GuestConfig, InheritedFds


class Lines:
    """Pairs of sockets: our ends, which the caller takes over one by one, and QEMU's, which it inherits."""

    def __init__(self, name: str, config: GuestConfig, logs: Path) -> None:
        """name: of the guest, for messages. logs: the directory of the socket by which a kept guest is reached.

        GuestLost if it cannot be kept, OSError if there are no more file descriptors.
        """
        self._ours: list[socket.socket] = []
        self._theirs: list[socket.socket] = []
        # Of the socket for a debugger; 0 without one.
        self.gdb_port = 0
        try:
            self.monitor, self.console, self.channel = self._pair(), self._pair(), self._pair()
            self.fds = InheritedFds(*(end.fileno() for end in self._theirs))
            if config.debug:
                self._theirs.append(gdb.listening_socket())
                self.gdb_port = self._theirs[-1].getsockname()[1]
                self.fds = msgspec.structs.replace(self.fds, gdb=self._theirs[-1].fileno())
            if config.keep:
                self._theirs.append(_attach_socket(name, logs))
                self.fds = msgspec.structs.replace(self.fds, attach=self._theirs[-1].fileno())
        except BaseException:
            self.started()
            self.close()
            raise

    def _pair(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._ours.append(ours)
        self._theirs.append(theirs)
        return ours

    @property
    def inherited(self) -> list[int]:
        """The file descriptors of QEMU's ends."""
        return [end.fileno() for end in self._theirs]

    def started(self) -> None:
        """QEMU has its own copies, or was not started: close its ends here."""
        for end in self._theirs:
            end.close()

    def close(self) -> None:
        """Close our ends."""
        for end in self._ours:
            end.close()


def _attach_socket(name: str, logs: Path) -> socket.socket:
    try:
        return keep.listening_socket(logs)
    except OSError as error:
        raise GuestLost(f"{name}: it cannot be kept: {logs}: {error.strerror}") from error
