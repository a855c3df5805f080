"""How a target is reached and driven: the same verbs for a QEMU guest, a lab machine and this machine.

No verb of a host waits for the other side. hosts/waiting.py waits for one host alone, engine/loop.py for one host
while the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sysevent.errors import InfrastructureError
from sysevent.model import KernelImage, Progress
from sysevent.wire import Hello, Reply

# Requests in flight at a time; their replies fit into a socket's buffer.
WINDOW = 16


class Host(Protocol):
    """One place where our VMM can run. Requests are answered in order, so several may be in flight."""

    @property
    def window(self) -> int:
        """How many requests may be in flight at a time."""

    @property
    def timed(self) -> bool:
        """False under --gdb: then no deadline applies, and no sign of life is printed."""

    @property
    def patience(self) -> float:
        """Seconds that hello() may take to arrive."""

    @property
    def doing(self) -> str:
        """What happens until the HELLO, for the person who waits: "booting debian:6.12"."""

    @property
    def seconds_to_ready(self) -> float:
        """From start() until the VMM answered; 0 before that."""

    @property
    def retried(self) -> list[str]:
        """What failed on the way to the host and was tried again: each an incident. The reader empties it."""

    @property
    def traits(self) -> Mapping[str, str]:
        """What the machine says of itself (hosts/traits.py), as far as it is known without the VMM."""

    def start(self) -> None:
        """Begin, and return at once: several hosts can start at the same time."""

    def sources(self) -> list[int]:
        """File descriptors that become readable when listen() has something to take in."""

    def listen(self) -> bool:
        """Take in what has arrived; False when nothing had. Takes a bounded amount."""

    def hello(self) -> Hello | None:
        """The HELLO of the VMM; None while it has not arrived.

        BadWire when it is invalid, GuestLost when another guest than the expected one says it.
        """

    def send(self, request: bytes, abi: int) -> int:
        """Have one request carried out, after those sent before; its number. What loss() gives when that fails."""

    def reply(self, number: int) -> Reply | None:
        """The reply to a request; None while it has not arrived. Ask in the order in which they were sent.

        BadWire when it is invalid, GuestLost when no reply of this host counts.
        """

    def trouble(self) -> str | None:
        """None if healthy, else the reason; "" if only loss() can tell it.

        With "", what arrived before the end may still be a reply: listen() until it says False.
        """

    def loss(self, what: str) -> InfrastructureError:
        """The error that says, in one sentence, why the host is lost, with the end of its log below.

        GuestLost when another try may help. Any other InfrastructureError will not be different the next time.
        """

    def keep(self) -> int:
        """Let it live on when close() is called: the process id to end it by, or 0 when it cannot be kept."""

    def close(self) -> None:
        """Nothing of ours runs there afterwards. Safe to call at any time, and twice."""


class Opener(Protocol):
    """Where the hosts of one target come from, one after the other: the first, and others when it was lost."""

    @property
    def log(self) -> str:
        """The name of a host's log in its directory."""

    @property
    def origin(self) -> str:
        """What the kernel of a host that is not restored does when it is opened: "boot", or "running"."""

    def kernel(self, progress: Progress) -> KernelImage | None:
        """The image that it boots; None where a kernel runs already."""

    def prepare(self, progress: Progress) -> None:
        """Get everything onto this machine's disk. Touches nothing else, so it may run in any thread."""

    def restorable(self) -> bool:
        """Whether there is a snapshot of a host that was ready."""

    def open(self, logs: Path, progress: Progress, *, restore: bool) -> Host:
        """One more host, not started yet; restored from the snapshot if restore is True."""

    def greeted(self, host: Host, hello: Hello, progress: Progress) -> None:
        """The host has said hello: take a snapshot, where that is done. Raises nothing."""

    def forget(self, hello: Hello | None) -> str:
        """Discard the snapshot of a restored host that was lost, after its HELLO if there was one.

        Returns the incident's text, "" when there is nothing to add.
        """
