"""How each generation of userspace reads the bytes of a system event, and whether it finds what is there.

The readers are rows: where a program of an ABI that was built with that generation's header looks. Offsets
measured by compiling the headers; on i386 a u64 is aligned to 4, so the old `flags` lay at 36 there.
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


class Finding(enum.StrEnum):
    """What came of reading."""

    RIGHT = "right"
    WRONG = "wrong"  # the kernel wrote all of it, and it means something else
    GARBAGE = "garbage"  # some of it the kernel never wrote


class Believed(msgspec.Struct, frozen=True):
    """What a reader takes an event for."""

    type: int
    data: tuple[int, ...] | None  # None: it looks at none
    read: tuple[tuple[int, int], ...]  # the bytes of kvm_run it looked at


class Reader(msgspec.Struct, frozen=True):
    """One way to read an event."""

    name: str
    who: str  # programs that read this way
    read: Callable[[Event, str, bool], Believed]  # the event, the ABI, whether capability 215 is there


class Reading(msgspec.Struct, frozen=True):
    """One reader's luck with one event."""

    event: str  # the claim's name
    reader: str
    abi: str
    finding: Finding
    told: str  # what it believed, and what is true


def _type_only(seen: Event, abi: str, capability: bool) -> Believed:
    return Believed(seen.field("type"), None, ((32, 36),))


def _flags(seen: Event, abi: str, capability: bool) -> Believed:
    start, end = kvm_run.old_flags(ABIS[abi].u64_alignment).span
    value = int.from_bytes(seen.raw.head[start:end], "little")
    return Believed(seen.field("type"), (value,), ((32, 36), (start, end)))


def _ndata(seen: Event, abi: str, capability: bool) -> Believed:
    count = seen.field("ndata")
    valid = min(count, 16)
    data = tuple(seen.field(f"data[{n}]") for n in range(valid))
    return Believed(seen.field("type"), data, ((32, 40), (40, 40 + 8 * valid)))


def _ndata_if_capable(seen: Event, abi: str, capability: bool) -> Believed:
    return _ndata(seen, abi, capability) if capability else _type_only(seen, abi, capability)


def _bit_31(seen: Event, abi: str, capability: bool) -> Believed:
    kind = seen.field("type")
    if not kind & NDATA_VALID:
        return Believed(kind, (), ((32, 36),))
    believed = _ndata(seen, abi, capability)
    return Believed(kind & ~NDATA_VALID, believed.data, believed.read)


READERS = (
    Reader("type", "QEMU, kvmtool", _type_only),
    Reader("type and flags", "built before v5.18: crosvm, Android 13", _flags),
    Reader("ndata, if capable", "as api.rst asks for", _ndata_if_capable),
    Reader("ndata, unasked", "kvm-ioctls, and all that is built on it", _ndata),
    Reader("ndata, if bit 31", "the repair that was not taken, c24a950ec7d6", _bit_31),
)


def readings(claim: ExitClaim, seen: Observation, facts: Facts) -> list[Reading]:
    """What every reader makes of a claim's event; empty when the claim is not about a whole, poisoned event.

    An exit without poison is left out: nobody can tell what the kernel wrote there.
    """
    found = event(seen, "exit")
    expected = _truth(claim)
    if (
        found is None
        or expected is None
        or found.raw.ret
        or found.exit_reason != ExitReason.SYSTEM_EVENT
        or found.raw.poison is None
    ):
        return []
    capability = facts.capabilities.get(Capability.SYSTEM_EVENT_DATA.on_vm, 0) > 0
    return [_reading(reader, claim, found, seen.abi, expected, capability) for reader in READERS]


def _reading(
    reader: Reader,
    claim: ExitClaim,
    found: Event,
    abi: str,
    expected: tuple[int, tuple[int, ...]],
    capability: bool,
) -> Reading:
    believed = reader.read(found, abi, capability)
    written = {n for start, end in found.written for n in range(start, end)}
    missing = [n for start, end in believed.read for n in range(start, end) if n not in written]
    kind, data = expected
    told = f"type {believed.type}"
    if believed.data is not None:
        told += ", " + (" ".join(f"{value:#x}" for value in believed.data) or "no data")
    true = f"type {kind}, " + (" ".join(f"{value:#x}" for value in data) or "no data")
    if missing:
        finding = Finding.GARBAGE
        told += f"; bytes {missing[0]}..{missing[-1]} were never written"
    else:
        same = believed.data is None or _same(believed.data, data)
        finding = Finding.RIGHT if believed.type == kind and same else Finding.WRONG
    return Reading(claim.name, reader.name, abi, finding, f"{told} (true: {true})")


def _same(believed: tuple[int, ...], data: tuple[int, ...]) -> bool:
    """Flags of 0 and no data say the same."""
    return believed == data or not any((*believed, *data))


def _truth(claim: ExitClaim) -> tuple[int, tuple[int, ...]] | None:
    """The type and data that a claim expects of its exit "exit"."""
    values = {
        check.field: check.value
        for check in claim.gives
        if isinstance(check, Holds) and check.label == "exit"
    }
    if "type" not in values or "ndata" not in values:
        return None
    return values["type"], tuple(values.get(f"data[{n}]", 0) for n in range(values["ndata"]))
