"""How a target is reached and driven: the same methods for a QEMU guest, a lab machine and this machine.

No method of a host waits for the other side. hosts/waiting.py waits for one host alone, engine/loop.py for one host
while the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.errors import InfrastructureError
from sysevent.model import ExpectedKernel, KernelImage, Progress
from sysevent.wire import Hello, Reply

# Requests in flight at a time; their replies fit into a socket's buffer.
WINDOW = 16


class Failure(msgspec.Struct, frozen=True):
    """Why a host does not answer any more."""

    # For Host.loss(); "" if that finds the reason itself.
    reason: str
    # True if the host has ended: what arrived before may still be a reply. Call listen() until it returns False.
    ended: bool = False


ENDED = Failure("", ended=True)


class Host(Protocol):
    """One place where our VMM can run. Requests are answered in order, so several may be in flight."""

    @property
    def window(self) -> int:
        """Number of requests that may be in flight at a time."""

    @property
    def has_deadlines(self) -> bool:
        """False under --gdb: then no deadline applies, and no progress line is printed."""

    @property
    def hello_timeout(self) -> float:
        """Seconds that the HELLO may take to arrive."""

    @property
    def stretch(self) -> float:
        """How many times longer than usual an answer may take, known after start(): 1 unless this machine is slow."""

    @property
    def activity(self) -> str:
        """What happens until the HELLO, for progress lines: "booting debian:6.12"."""

    @property
    def seconds_to_ready(self) -> float:
        """Seconds from start() until the VMM answered; 0 before that."""

    @property
    def retried(self) -> list[str]:
        """Why attempts to reach the host failed that were repeated: each an incident. The reader clears the list."""

    @property
    def incidents(self) -> list[str]:
        """What went wrong without any effect on answers, such as a log that cannot be written: each an incident.

        The reader clears the list.
        """

    @property
    def traits(self) -> Mapping[str, str]:
        """What the machine reports about itself (hosts/traits.py), as far as it is known without the VMM."""

    def start(self) -> None:
        """Begin, and return at once: several hosts can start at the same time.

        InfrastructureError if the host cannot be started: GuestLost if another try may help.
        """

    def sources(self) -> list[int]:
        """File descriptors that become readable when listen() has something to take in."""

    def listen(self) -> bool:
        """Take in what has arrived; False when nothing had. Takes a bounded amount."""

    def hello(self) -> Hello | None:
        """The HELLO of the VMM; None while it has not arrived.

        BadWire if it is invalid, GuestLost if another guest than the expected one sent it.
        """

    def send(self, request: bytes, abi: int) -> int:
        """Send one request, which is carried out after those sent before; return its number.

        The error that loss() returns if the transport does not accept it.
        """

    def reply(self, number: int) -> Reply | None:
        """The reply to a request; None while it has not arrived. Ask in the order in which they were sent.

        BadWire when it is invalid, GuestLost when no reply of this host counts.
        """

    def failure(self) -> Failure | None:
        """Why the host does not answer any more; None while it is healthy."""

    def loss(self, what: str) -> InfrastructureError:
        """The error that states in one sentence why the host is lost, with the end of its log below. It is not raised.

        GuestLost if another try may help. Any other InfrastructureError would be the same the next time.
        """

    def keep(self) -> int:
        """Let the host run on after close(); the process id to end it by, or 0 if it cannot be kept."""

    def close(self) -> None:
        """End the VMM and all that was started for it there. Safe to call at any time, and twice."""


class Opener(Protocol):
    """Opens the hosts of one target, one after the other: the first, and another one after each loss."""

    @property
    def log(self) -> str:
        """The name of a host's log in its directory."""

    @property
    def origin(self) -> str:
        """How the kernel of a host that is not restored is started: "boot", or "running" if it runs already."""

    def kernel(self, progress: Progress) -> KernelImage | None:
        """The image that it boots; None where a kernel runs already. ImageError if it cannot be obtained."""

    def prepare(self, progress: Progress) -> None:
        """Put all files that a host needs onto this machine's disk. Touches nothing else, so it may run in any thread.

        SyseventError if a file cannot be obtained or built.
        """

    def expected(self) -> ExpectedKernel | None:
        """What the kernel must say of itself, before anything else that it says counts. Call prepare() before.

        None: it is not asked (a host that replays answers).
        """

    def restorable(self) -> bool:
        """Whether there is a snapshot of a host that was ready."""

    def open(self, logs: Path, progress: Progress, *, restore: bool) -> Host:
        """One more host, not started yet; restored from the snapshot if restore is True. Call prepare() before.

        Raises no SyseventError: Host.start() does.
        """

    def hello_received(self, host: Host, hello: Hello, progress: Progress) -> str:
        """Take a snapshot of a host whose HELLO was received, if snapshots are on. Raises no SyseventError.

        Returns the incident's text if it cannot be taken, "" otherwise. The host goes on, or is lost.
        """

    def try_snapshot(self, within: float) -> None:
        """Restore the snapshot that was taken last, if there is one, so that no later run loses time over a bad one.

        One that does not answer within so many seconds is discarded. Raises no SyseventError. Call it after the hosts
        were closed.
        """

    def forget(self, hello: Hello | None) -> str:
        """Discard the snapshot of a restored host that was lost, after its HELLO if there was one.

        Also called for a booted host with the wrong kernel, of which a snapshot may have been taken.

        Returns the incident's text, "" when there is nothing to add.
        """
