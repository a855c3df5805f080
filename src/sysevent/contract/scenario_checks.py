"""Checks of a whole scenario: KVM_RUN that does not exit, other ioctls, peers, two exits compared. No I/O."""

from __future__ import annotations

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Check, Holds, NothingBeyond, Written, event
from sysevent.model import Mismatch, Observation


class Blocks(msgspec.Struct, frozen=True):
    """KVM_RUN did not return by itself: the watchdog's signal ended it."""

    # Of the Wait.
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


class Sleeps(msgspec.Struct, frozen=True):
    """KVM_RUN that blocked used less CPU time than a quarter of the time that it took, at least once.

    A vCPU that waits in a loop instead of sleeping uses nearly all of it each time, and two on one CPU half of it. The
    first KVM_RUN of a guest under TCG uses CPU time to translate code, and a machine that is suspended at the wrong
    moment counts that time as CPU time, but hardly in every KVM_RUN.
    """

    # Of the Waits.
    labels: tuple[str, ...]
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = [raw for label in self.labels if (raw := seen.exits.get(label)) is not None]
        used = [(raw.cpu_microseconds, raw.microseconds) for raw in found]
        if any(cpu is None or 4 * cpu < total for cpu, total in used):
            return []
        got = ", ".join(f"{cpu} of {total} us" for cpu, total in used) or "it was not entered"
        return [Mismatch("CPU time of KVM_RUN that blocks", "less than a quarter of its time", got)]


class Interrupted(msgspec.Struct, frozen=True):
    """KVM_RUN returned EINTR at once, as it must with immediate_exit."""

    # Of the Wait.
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


class AtLeastOneEvent(msgspec.Struct, frozen=True):
    """Some of these KVM_RUN ended with a system event, each with its own, and the others blocked and wrote nothing."""

    # The label of each Wait, with the type and the data of its event.
    events: tuple[tuple[str, int, tuple[int, ...]], ...]
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        wrong, happened = [], False
        for label, kind, data in self.events:
            came = _returned(seen, label)
            happened |= came
            wrong += _all(
                seen, _event_fields(label, kind, data) if came else (Blocks(label), Written((), label))
            )
        if not happened:
            labels = ", ".join(label for label, *_ in self.events)
            wrong.append(Mismatch(f"events of {labels}", "at least 1", "0"))
        return wrong


class OneEventOfTwo(msgspec.Struct, frozen=True):
    """The first KVM_RUN ended with the event, or blocked and wrote nothing, and the second one had it; not both."""

    # Of the Waits.
    first: str
    second: str
    # The type and the data of the event.
    kind: int
    data: tuple[int, ...]
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        if not _returned(seen, self.first):
            blocked = (Blocks(self.first), Written((), self.first))
            return _all(seen, (*blocked, *_event_fields(self.second, self.kind, self.data)))
        wrong = _all(seen, _event_fields(self.first, self.kind, self.data))
        second = event(seen, self.second)
        if second is None or (not second.raw.ret and second.exit_reason == ExitReason.SYSTEM_EVENT):
            got = "it was not entered" if second is None else "the event again"
            wrong.append(Mismatch(self.second, "no second event", got, kvm_run.EXIT_REASON.span))
        return wrong


def _returned(seen: Observation, label: str) -> bool:
    """Return whether KVM_RUN returned 0. A signal may have been sent at the same time, so `kicked` says nothing."""
    found = event(seen, label)
    return found is not None and found.raw.ret == 0


def _all(seen: Observation, checks: tuple[Check, ...]) -> list[Mismatch]:
    return [mismatch for check in checks for mismatch in check.mismatches(seen)]


def _event_fields(label: str, kind: int, data: tuple[int, ...]) -> tuple[Check, ...]:
    """Return the checks of a system event since v5.18, of an exit that a signal may have ended, too."""
    return (
        Holds("exit_reason", ExitReason.SYSTEM_EVENT, label),
        Holds("type", kind, label),
        Holds("ndata", len(data), label),
        *(Holds(f"data[{n}]", value, label) for n, value in enumerate(data)),
        NothingBeyond(label),
    )


class SameBytes(msgspec.Struct, frozen=True):
    """Two exits of one scenario have the same bytes in a range of kvm_run."""

    # Labels of the exits.
    first: str
    second: str
    # A half-open range of offsets in kvm_run.
    span: tuple[int, int]
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        exits = [seen.exits.get(label) for label in (self.first, self.second)]
        start, end = self.span
        found = [raw.head[start:end].hex(" ") if raw else "nothing" for raw in exits]
        what = f"bytes {start}..{end - 1} of {self.second!r}"
        return [] if found[0] == found[1] else [Mismatch(what, found[0], found[1], self.span)]


class Counters(msgspec.Struct, frozen=True):
    """The peers, all vCPUs but the caller, counted between two reads of guest memory, or did not.

    If they must not run, no counter may have changed. If they must run, one that counts is enough: on a busy target
    some vCPUs are not scheduled in so short a time.
    """

    # Labels of the Reads. The counter of vCPU n is the u64 at 8 * n.
    first: str
    second: str
    # Number of vCPUs, including the caller.
    vcpus: int
    # Whether the peers must run.
    running: bool
    caller: int = 0
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        wrong = [
            Mismatch(label, "the peers' counts", "they were not read")
            for label in (self.first, self.second)
            if label not in seen.answers or seen.answers[label].ret < 0
        ]
        if wrong:
            return wrong
        for peer in range(self.vcpus):
            if peer == self.caller:
                continue
            before, after = (self._count(seen, label, peer) for label in (self.first, self.second))
            if (after > before) != self.running:
                wanted = f"{'more than' if self.running else 'still'} {before}"
                wrong.append(Mismatch(f"vCPU {peer}'s count, {self.second}", wanted, str(after)))
        return [] if self.running and len(wrong) < self.vcpus - 1 else wrong

    def _count(self, seen: Observation, label: str, peer: int) -> int:
        return int.from_bytes(seen.answers[label].data[8 * peer : 8 * peer + 8], "little")


class Returns(msgspec.Struct, frozen=True):
    """An ioctl other than KVM_RUN, or an open(), returned this value, or failed with this errno."""

    label: str
    ret: int = 0
    # 0: it must not fail.
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


class SameReturn(msgspec.Struct, frozen=True):
    """Two ioctls returned the same value, and neither failed."""

    # Labels of the ioctls.
    first: str
    second: str
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        before, after = (seen.answers.get(label) for label in (self.first, self.second))
        if before is None or after is None:
            missing = self.second if before else self.first
            return [Mismatch(missing, f"the same as {self.first!r}", "it was not asked")]
        if before.ret == after.ret and before.ret >= 0:
            return []
        return [Mismatch(self.second, f"the same as {self.first!r}: {before.ret:#x}", f"{after.ret:#x}")]


class AllOrNone(msgspec.Struct, frozen=True):
    """All of these ioctls returned 0, or all of them failed with this errno."""

    labels: tuple[str, ...]
    errno: int
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = [seen.answers.get(label) for label in self.labels]
        got = [(answer.ret, answer.errno) if answer else None for answer in found]
        if set(got) in ({(0, 0)}, {(-1, self.errno)}):
            return []
        words = ", ".join(
            "it was not asked" if each is None else "0" if each == (0, 0) else f"errno {names.errno(each[1])}"
            for each in got
        )
        wanted = f"0 of all, or errno {names.errno(self.errno)} of all"
        return [Mismatch(", ".join(self.labels), wanted, words)]


class RefusedThere(msgspec.Struct, frozen=True):
    """An ioctl that must not take effect failed with this errno, or succeeded, and the KVM_RUN after it failed so."""

    # Label of the ioctl, and of the exit.
    label: str
    exit: str
    errno: int
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        answer, raw = seen.answers.get(self.label), seen.exits.get(self.exit)
        wanted = f"errno {names.errno(self.errno)} of it, or of KVM_RUN after it"
        if answer is None or raw is None:
            return [Mismatch(self.label if answer is None else self.exit, wanted, "it was not asked")]
        if answer.ret < 0:
            refused = answer.errno == self.errno
            return [] if refused else [Mismatch(self.label, wanted, f"errno {names.errno(answer.errno)}")]
        if raw.ret < 0 and raw.errno == self.errno and not raw.kicked:
            return []
        return [Mismatch(self.exit, wanted, f"{self.label!r} succeeded; {event(seen, self.exit)}")]


class BufferHolds(msgspec.Struct, frozen=True):
    """The buffer of an ioctl, after the kernel filled it, holds this little-endian number."""

    label: str
    value: int
    # In the buffer, in bytes.
    offset: int = 0
    size: int = 4
    # The bits of the number that count.
    mask: int = -1
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        answer = seen.answers.get(self.label)
        if answer is None or answer.ret < 0:
            got = "it was not asked" if answer is None else f"errno {names.errno(answer.errno)}"
            return [Mismatch(self.label, str(self.value), got)]
        value = int.from_bytes(answer.data[self.offset : self.offset + self.size], "little") & self.mask
        return [] if value == self.value else [Mismatch(self.label, f"{self.value:#x}", f"{value:#x}")]
