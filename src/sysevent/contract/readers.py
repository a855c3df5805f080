"""How each generation of userspace reads the bytes of a system event, and whether it is right.

A reader is a row of READERS: which bytes a program uses that was built with the header of its time. The offsets were
measured by compiling the headers. On i386 a u64 is aligned to 4 bytes, so the old `flags` was at 36 there, not at 40.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from sysevent.abi import kvm_run
from sysevent.abi.capabilities import Capability
from sysevent.abi.events import NDATA_VALID
from sysevent.abi.exits import ExitReason
from sysevent.arches import ABIS
from sysevent.contract.checks import Holds, event
from sysevent.contract.exit_claim import ExitClaim
from sysevent.decode.event import Event
from sysevent.model import Facts, Observation


class ReadResult(enum.StrEnum):
    """Whether a reader finds what the kernel meant."""

    RIGHT = "right"
    # The kernel wrote all bytes that the reader uses, and they mean something else.
    WRONG = "wrong"
    # The reader uses bytes that the kernel did not write.
    GARBAGE = "garbage"


class Interpretation(msgspec.Struct, frozen=True):
    """The type and data that a reader takes an event for."""

    type: int
    # None: the reader uses no data.
    data: tuple[int, ...] | None
    # The bytes that it used: half-open ranges of offsets in kvm_run.
    used: tuple[tuple[int, int], ...]


class Reader(msgspec.Struct, frozen=True):
    """One way to read an event."""

    # Which fields it uses, and under which condition.
    name: str
    # Programs that read this way.
    used_by: str
    # Called with the event, the program's ABI, and whether the kernel has capability 215.
    read: Callable[[Event, str, bool], Interpretation]
    # Of those programs, the VMMs with claims of their own: see vmm_claims.family().
    vmms: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True):
    """What one reader made of one event."""

    # Name of the claim about the event.
    event: str
    # Name of the reader.
    reader: str
    abi: str
    result: ReadResult
    # The reader's interpretation, and the right one.
    explanation: str


def _type_only(seen: Event, abi: str, capability: bool) -> Interpretation:
    return Interpretation(seen.field("type"), None, (kvm_run.TYPE.span,))


def _flags(seen: Event, abi: str, capability: bool) -> Interpretation:
    start, end = kvm_run.old_flags(ABIS[abi].u64_alignment).span
    value = int.from_bytes(seen.raw.head[start:end], "little")
    return Interpretation(seen.field("type"), (value,), (kvm_run.TYPE.span, (start, end)))


def _ndata(seen: Event, abi: str, capability: bool) -> Interpretation:
    items = kvm_run.DATA[: seen.field("ndata")]
    start = kvm_run.DATA[0].offset
    used = (start, start + sum(item.size for item in items))
    data = tuple(seen.field(item.name) for item in items)
    return Interpretation(seen.field("type"), data, (kvm_run.span(kvm_run.TYPE, kvm_run.NDATA), used))


def _ndata_if_capable(seen: Event, abi: str, capability: bool) -> Interpretation:
    return _ndata(seen, abi, capability) if capability else _type_only(seen, abi, capability)


def _bit_31(seen: Event, abi: str, capability: bool) -> Interpretation:
    kind = seen.field("type")
    if not kind & NDATA_VALID:
        return Interpretation(kind, (), (kvm_run.TYPE.span,))
    later = _ndata(seen, abi, capability)
    return Interpretation(kind & ~NDATA_VALID, later.data, later.used)


# The names, and the programs, are columns of the report.
READERS = (
    Reader("type", "QEMU, kvmtool", _type_only, ("qemu", "kvmtool")),
    Reader("type and flags", "built before v5.18: crosvm, Android 13", _flags),
    Reader("ndata, if capable", "as api.rst asks for", _ndata_if_capable),
    Reader(
        "ndata, unasked",
        "kvm-ioctls, and all that is built on it",
        _ndata,
        ("kvm_ioctls", "cloud_hypervisor", "firecracker"),
    ),
    Reader("ndata, if bit 31", "the repair that was not taken, c24a950ec7d6", _bit_31),
)


def readings(claim: ExitClaim, seen: Observation, facts: Facts) -> list[Reading]:
    """Return what every reader makes of the exit "exit" of a claim's scenario.

    Empty if the claim does not say what a whole event holds, if the exit is not a system event, or if it was not
    poisoned, so that it is unknown which bytes the kernel wrote.
    """
    found = event(seen, "exit")
    expected = _expected(claim)
    if (
        found is None
        or expected is None
        or found.raw.ret
        or found.exit_reason != ExitReason.SYSTEM_EVENT
        or found.raw.poison is None
    ):
        return []
    capability = facts.capabilities.get(Capability.SYSTEM_EVENT_DATA.on_vm, 0) > 0
    written = {n for start, end in found.written for n in range(start, end)}
    return [
        _reading(reader, claim, reader.read(found, seen.abi, capability), written, seen.abi, expected)
        for reader in READERS
    ]


def _reading(
    reader: Reader,
    claim: ExitClaim,
    understood: Interpretation,
    written: set[int],
    abi: str,
    expected: tuple[int, tuple[int, ...]],
) -> Reading:
    """How an event was read. written: the bytes of kvm_run that the kernel wrote."""
    unwritten = [n for start, end in understood.used for n in range(start, end) if n not in written]
    kind, data = expected
    text = f"type {understood.type}"
    if understood.data is not None:
        text += f", {_words(understood.data)}"
    if unwritten:
        result = ReadResult.GARBAGE
        text += f"; bytes {unwritten[0]}..{unwritten[-1]} were never written"
    else:
        same = understood.data is None or _same(understood.data, data)
        result = ReadResult.RIGHT if understood.type == kind and same else ReadResult.WRONG
    explanation = f"{text} (true: type {kind}, {_words(data)})"
    return Reading(claim.name, reader.name, abi, result, explanation)


def _words(data: tuple[int, ...]) -> str:
    return " ".join(f"{value:#x}" for value in data) or "no data"


def _same(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether two tuples of data mean the same. Flags of 0 and no data do."""
    return one == other or not any((*one, *other))


def _expected(claim: ExitClaim) -> tuple[int, tuple[int, ...]] | None:
    """Return the type and data that a claim expects of the exit "exit"; None if it does not say both."""
    values = {
        check.field: check.value
        for check in claim.gives
        if isinstance(check, Holds) and check.label == "exit"
    }
    if "type" not in values or "ndata" not in values:
        return None
    return values["type"], tuple(values.get(f"data[{n}]", 0) for n in range(values["ndata"]))
