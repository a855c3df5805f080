"""Checks of what stands around an exit: re-entry, peers, other ioctls, and two exits side by side."""

from __future__ import annotations

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.errno import Errno
from sysevent.contract.checks import event
from sysevent.model import Mismatch, Observation


class Blocks(msgspec.Struct, frozen=True):
    """KVM_RUN did not come back by itself: a signal had to end it."""

    label: str
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        wanted = "KVM_RUN blocks until a signal"
        if found is None:
            return [Mismatch(self.label, wanted, "it was not entered")]
        if found.raw.kicked and found.raw.errno == Errno.EINTR:
            return []
        return [Mismatch(self.label, wanted, str(found), kvm_run.EXIT_REASON.span)]


class Interrupted(msgspec.Struct, frozen=True):
    """KVM_RUN came back at once with EINTR, as immediate_exit asks for."""

    label: str
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        wanted = f"errno {names.errno(Errno.EINTR)} at once"
        if found is None:
            return [Mismatch(self.label, wanted, "it was not entered")]
        if found.raw.errno == Errno.EINTR and not found.raw.kicked:
            return []
        got = "it had to be ended by a signal" if found.raw.kicked else str(found)
        return [Mismatch(self.label, wanted, got, kvm_run.EXIT_REASON.span)]


class SameBytes(msgspec.Struct, frozen=True):
    """Two exits of one scenario hold the same bytes there."""

    first: str
    second: str
    span: tuple[int, int]
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        exits = [seen.exits.get(label) for label in (self.first, self.second)]
        start, end = self.span
        found = [raw.head[start:end].hex(" ") if raw else "nothing" for raw in exits]
        what = f"bytes {start}..{end - 1} of {self.second!r}"
        return [] if found[0] == found[1] else [Mismatch(what, found[0], found[1], self.span)]


class Counters(msgspec.Struct, frozen=True):
    """Whether peers went on counting between two readings of guest memory: vCPU n's counter is at 8 * n.

    When they must stand still, every one of them must. When they must run, one that counts is enough: in so
    short a time a busy machine does not get round to all of them.
    """

    first: str
    second: str
    peers: int
    running: bool
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        wrong = [
            Mismatch(label, "the peers' counts", "they were not read")
            for label in (self.first, self.second)
            if label not in seen.answers or seen.answers[label].ret < 0
        ]
        if wrong:
            return wrong
        for peer in range(1, self.peers):
            before, after = (self._count(seen, label, peer) for label in (self.first, self.second))
            if (after > before) != self.running:
                wanted = f"{'more than' if self.running else 'still'} {before}"
                wrong.append(Mismatch(f"vCPU {peer}'s count, {self.second}", wanted, str(after)))
        return [] if self.running and len(wrong) < self.peers - 1 else wrong

    def _count(self, seen: Observation, label: str, peer: int) -> int:
        return int.from_bytes(seen.answers[label].data[8 * peer : 8 * peer + 8], "little")


class Returns(msgspec.Struct, frozen=True):
    """An ioctl that is no KVM_RUN returned this, or failed with this errno."""

    label: str
    ret: int = 0
    errno: int = 0
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        answer = seen.answers.get(self.label)
        wanted = f"errno {names.errno(self.errno)}" if self.errno else str(self.ret)
        if answer is None:
            return [Mismatch(self.label, wanted, "it was not asked")]
        right = (answer.ret, answer.errno) == ((-1, self.errno) if self.errno else (self.ret, 0))
        got = str(answer.ret) if answer.ret >= 0 else f"errno {names.errno(answer.errno)}"
        return [] if right else [Mismatch(self.label, wanted, got)]


class BufferHolds(msgspec.Struct, frozen=True):
    """An ioctl's buffer holds this little-endian number there."""

    label: str
    value: int
    offset: int = 0
    size: int = 4
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        answer = seen.answers.get(self.label)
        if answer is None or answer.ret < 0:
            got = "it was not asked" if answer is None else f"errno {names.errno(answer.errno)}"
            return [Mismatch(self.label, str(self.value), got)]
        value = int.from_bytes(answer.data[self.offset : self.offset + self.size], "little")
        return [] if value == self.value else [Mismatch(self.label, f"{self.value:#x}", f"{value:#x}")]
