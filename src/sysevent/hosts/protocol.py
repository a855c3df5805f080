"""How a target is reached and driven: the same three verbs for a QEMU guest, a lab machine and this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sysevent.wire import Hello, Reply


class Host(Protocol):
    """One place where our VMM can run."""

    def put(self, files: Mapping[str, bytes]) -> Hello:
        """Bring the programs there (path -> content), start the VMM, and give back what it said of itself.

        GuestLost or HostUnreachable when that does not happen before the target's deadline.
        """

    def run(self, request: bytes, abi: int, deadline: float) -> Reply:
        """Have one request carried out; deadline in seconds.

        GuestLost or HostUnreachable when the place is no more, BadWire when it answers nonsense.
        """

    def close(self) -> None:
        """Nothing of ours runs there afterwards. Safe to call at any time, and twice."""
