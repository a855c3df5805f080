"""Decodes a raw exit with frozen offsets: fields by name, and the bytes that the kernel wrote."""

from __future__ import annotations

import functools
import re

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.exits import ExitReason
from sysevent.abi.registers import REGISTERS
from sysevent.model import RawExit


class Event(msgspec.Struct, frozen=True):
    """One exit, decoded. Whether its fields are valid is for the judge to decide."""

    raw: RawExit
    registers: dict[str, int]

    def field(self, name: str) -> int:
        """Return the value of a member of kvm_run by its name in abi/kvm_run.py; KeyError for another name."""
        field = kvm_run.FIELDS[name]
        return int.from_bytes(self.raw.head[field.offset : field.offset + field.size], "little")

    @property
    def exit_reason(self) -> int:
        """The exit reason, KVM_EXIT_*."""
        return self.field("exit_reason")

    @property
    def written(self) -> tuple[tuple[int, int], ...]:
        """Half-open ranges of offsets in kvm_run's union (32 to 288) whose bytes lost their poison.

        Empty if the bytes were not poisoned before KVM_RUN.
        """
        if self.raw.poison is None:
            return ()
        return tuple(
            span.span() for span in _other_than(self.raw.poison).finditer(self.raw.head, *kvm_run.UNION)
        )

    def __str__(self) -> str:
        if self.raw.ret < 0:
            return f"KVM_RUN failed with errno {names.errno(self.raw.errno)}"
        shown = f"exit {names.exit_reason(self.exit_reason)}"
        if self.exit_reason == ExitReason.SYSTEM_EVENT:
            shown += f" type {names.event_type(self.field('type'))} ndata {self.field('ndata')}"
            shown += f" data[0] {self.field('data[0]'):#x}"
        return shown


@functools.cache
def _other_than(byte: int) -> re.Pattern[bytes]:
    # Many times faster than a look at each byte; half a hundred are looked at for every exit.
    return re.compile(b"[^" + re.escape(bytes([byte])) + b"]+")


def decode(raw: RawExit, arch: str) -> Event:
    """Return the event of a raw exit; its registers, by name, are empty if the VMM could not read them."""
    # The architecture of a recorded run may be one that this version does not know.
    known = REGISTERS.get(arch, ())
    values = raw.registers if len(raw.registers) == len(known) else ()
    return Event(raw, dict(zip(known, values, strict=False)))


def ranges(offsets: list[int]) -> tuple[tuple[int, int], ...]:
    """Return sorted offsets as half-open ranges."""
    found: list[tuple[int, int]] = []
    for offset in offsets:
        if found and found[-1][1] == offset:
            found[-1] = (found[-1][0], offset + 1)
        else:
            found.append((offset, offset + 1))
    return tuple(found)
