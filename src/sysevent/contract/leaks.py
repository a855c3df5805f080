"""Kernel addresses in the bytes of kvm_run that an exit has no use for: a leak, in any exit of any scenario. No I/O.

A kernel that copies more than an event's own members copies what was in its memory before. Nothing promises what those
bytes hold, so no claim compares them; but an address of the kernel there tells every VMM where the kernel lies.
"""

from __future__ import annotations

from sysevent.abi import kvm_run
from sysevent.abi.exit_sizes import SYNC_REGS_END, own_bytes
from sysevent.abi.kernel_addresses import is_kernel_address
from sysevent.decode.event import decode
from sysevent.model import Mismatch, Observation, RawExit
from sysevent.scenario.steps import Entry, Ioctl, Scenario, SetRunBytes, Write

# Bytes of an address.
_SIZE = 8


def leaks(asked: Scenario, seen: Observation) -> tuple[Mismatch, ...]:
    """Return a mismatch for each kernel address behind the members of an exit, with its offset in kvm_run.

    Numbers that the scenario itself, or its guest, put into memory or registers are not leaked.
    """
    syncs = any(
        isinstance(step, SetRunBytes)
        and step.offset < kvm_run.DIRTY_REGS.offset
        and step.offset + len(step.data) > kvm_run.VALID_REGS.offset
        for step in asked.steps
    )
    found = []
    for label, raw in seen.exits.items():
        for offset in _addresses(raw, seen.arch, syncs):
            value = _page(raw)[offset : offset + _SIZE]
            if value not in _given(asked, raw):
                what = f"{'' if label == 'exit' else f'{label}: '}bytes {offset}..{offset + _SIZE - 1} of kvm_run"
                got = f"{int.from_bytes(value, 'little'):#x}, which looks like an address of the kernel"
                found.append(Mismatch(what, "nothing of the kernel's memory", got, (offset, offset + _SIZE)))
    return tuple(found)


def _page(raw: RawExit) -> bytes:
    """The page of kvm_run, up to the last byte that is known; poison where it was not changed."""
    if not raw.tail:
        return raw.head
    gap = raw.tail_first - len(raw.head)
    return raw.head + bytes([raw.poison or 0]) * gap + raw.tail


def _addresses(raw: RawExit, arch: str, syncs: bool) -> list[int]:
    """Offsets of the kernel addresses behind the exit's own members."""
    page, found = _page(raw), []
    event = decode(raw, arch)
    untouched = raw.poison is not None and raw.head[8:12] == bytes([raw.poison]) * 4
    own = 0 if untouched else own_bytes(event.exit_reason, event.field("ndata"), arch)
    at = kvm_run.UNION[0] + own
    while (last := page.find(b"\xff", at + _SIZE - 1)) >= 0:
        at = last - _SIZE + 1
        synced = syncs and at + _SIZE > kvm_run.VALID_REGS.offset and at < SYNC_REGS_END
        value = page[at : at + _SIZE]
        if (
            not synced
            and _is_one_number(value, at, raw.poison)
            and is_kernel_address(int.from_bytes(value, "little"), arch)
        ):
            found.append(at)
            at += _SIZE
        else:
            at += 1
    return found


def _is_one_number(value: bytes, offset: int, poison: int | None) -> bool:
    """Whether bytes can be one number that the kernel wrote, and not the end of other bytes and a negative number.

    A byte of a number can happen to be the poison; two of them in a row, or its first one, cannot.
    """
    low = value[:4]
    if low in (bytes(4), b"\xff" * 4) or (offset % _SIZE and not value[0]):
        return False
    return poison is None or (poison not in (value[0], value[-1]) and bytes([poison] * 2) not in value)


def _given(asked: Scenario, raw: RawExit) -> bytes:
    """All bytes that the scenario, or its guest, knows: as one string to search in."""
    parts = [value.to_bytes(8, "little") for value in raw.registers]
    for step in asked.steps:
        match step:
            case Entry():
                parts += [value.to_bytes(8, "little") for value in step.arguments]
            case Ioctl():
                parts += [step.argument.to_bytes(8, "little"), step.buffer]
            case Write() | SetRunBytes():
                parts.append(step.data)
    return b"".join(parts)
