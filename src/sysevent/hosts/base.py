"""How a target is reached and driven: the same verbs for a QEMU guest, a lab machine and this one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sysevent.model import KernelImage, Progress
from sysevent.wire import Hello, Reply

AHEAD = 16  # requests on their way at a time; their replies fit into a socket's buffer


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

    @property
    def room(self) -> int:
        """How many requests may be on their way at a time."""

    @property
    def awaited(self) -> bool:
        """Somebody is waiting for this host, to whom the next frames belong."""

    @property
    def greeted(self) -> bool:
        """Whether hello() would return at once. False, too, when the place is lost: hello() tells."""

    @property
    def seconds_to_ready(self) -> float:
        """From start() until the VMM answered."""

    @property
    def retried(self) -> list[str]:
        """What went wrong on the way there and was tried again: each an incident."""

    @property
    def traits(self) -> Mapping[str, str]:
        """What the machine says of itself (hosts/traits.py), as far as it is known without the VMM."""

    def start(self) -> None:
        """Begin, and return at once: several hosts can start at the same time."""

    def hello(self) -> Hello:
        """Wait until the VMM there has said what it is.

        GuestLost when that does not happen before the target's deadline: another try may help. Any other
        InfrastructureError is what will not be different the next time.
        """

    def send(self, request: bytes, abi: int) -> int:
        """Have one request carried out, after those sent before; its number."""

    def answered(self, number: int) -> bool:
        """Whether reply() would return at once."""

    def reply(self, number: int, deadline: float) -> Reply:
        """Wait for the answer to a request; deadline in seconds from now.

        GuestLost when the place is no more, BadWire when it answers nonsense.
        """

    def sources(self) -> list[int]:
        """File descriptors that become readable when listen() has something to take in."""

    def listen(self) -> bool:
        """Take in what has come, without waiting; False when there was nothing."""

    def keep(self) -> int:
        """Let it live on when close() comes: the process id to end it by, or 0 when it cannot be kept."""

    def close(self) -> None:
        """Nothing of ours runs there afterwards. Safe to call at any time, and twice."""


class Opener(Protocol):
    """Where the hosts of one target come from, one after the other: the first, and others when it was lost."""

    log: str  # the name of a host's log in its directory
    origin: str  # what the kernel of one that is not restored does when it is opened: "boot", or "running"

    def kernel(self, progress: Progress) -> KernelImage | None:
        """The image that it boots; None where a kernel runs already."""

    def prepare(self, progress: Progress) -> None:
        """Get everything onto this machine's disk. Touches nothing else, so it may run in any thread."""

    def restorable(self) -> bool:
        """Whether there is a short cut to a host that is ready."""

    def open(self, logs: Path, progress: Progress, others: Others | None, *, restore: bool) -> Host:
        """One more host, not started yet; by the short cut if restore says so."""

    def greeted(self, host: Host, hello: Hello, progress: Progress) -> None:
        """It has said hello. Raises nothing."""

    def forget(self, hello: Hello | None) -> str:
        """A host that came by the short cut was lost, with its HELLO if it had said it: what to say of that."""
