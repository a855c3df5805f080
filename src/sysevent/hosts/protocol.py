"""How a target is reached and driven: the same verbs for a QEMU guest, a lab machine and this one."""

from __future__ import annotations

from typing import Protocol

from sysevent.wire import Hello, Reply


class Others(Protocol):
    """What else waits for its turn while one host is waited for."""

    def sources(self) -> list[int]:
        """File descriptors that become readable when attend() has something to do."""

    def attend(self) -> None:
        """Do what can be done without waiting. Raises nothing that is not about to end this process."""


class Nobody:
    """No others."""

    def sources(self) -> list[int]:
        return []

    def attend(self) -> None:
        pass


class Host(Protocol):
    """One place where our VMM can run. What is sent is answered in order, so several may be on their way."""

    def start(self) -> None:
        """Begin, and return at once: several hosts can start at the same time."""

    def hello(self) -> Hello:
        """Wait until the VMM there has said what it is.

        GuestLost or HostUnreachable when that does not happen before the target's deadline.
        """

    def send(self, request: bytes, abi: int) -> int:
        """Have one request carried out, after those sent before; its number."""

    def reply(self, number: int, deadline: float) -> Reply:
        """Wait for the answer to a request; deadline in seconds from now.

        GuestLost or HostUnreachable when the place is no more, BadWire when it answers nonsense.
        """

    def close(self) -> None:
        """Nothing of ours runs there afterwards. Safe to call at any time, and twice."""
