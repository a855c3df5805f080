"""Checks of one exit: what KVM_RUN returned, the bytes of kvm_run, and the registers. No I/O.

Each check names the exit by its label; "exit" is the label of a scenario's main one.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.exits import ExitReason
from sysevent.decode.event import Event, decode
from sysevent.model import Mismatch, Observation


class Check(Protocol):
    """One thing that must hold for an observation."""

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        """Return what is not as it must be; an empty list if the check holds."""

    @property
    def gate(self) -> bool:
        """Whether a failure ends the list of mismatches, because later checks would only repeat it."""


def event(seen: Observation, label: str) -> Event | None:
    """Return the exit called label, decoded; None if the observation has none."""
    raw = seen.exits.get(label)
    return None if raw is None else decode(raw, seen.arch)


def _shown(field: str, value: int) -> str:
    if field == "exit_reason":
        return names.exit_reason(value)
    if field == "type":
        return names.event_type(value)
    return str(value) if value < 10 else f"{value:#x}"


def _prefix(label: str) -> str:
    return "" if label == "exit" else f"{label}: "


class Exits(msgspec.Struct, frozen=True):
    """KVM_RUN returned 0, with this exit reason. A gate: with another exit the union has another meaning."""

    reason: int
    label: str = "exit"
    gate: bool = True

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        wanted = names.exit_reason(self.reason)
        what = f"{_prefix(self.label)}exit_reason"
        if found is None:
            return [Mismatch(what, wanted, "no such exit was recorded")]
        if found.raw.kicked:
            took = f"none within {found.raw.microseconds / 1e6:.1f} s: the watchdog ended KVM_RUN"
            return [Mismatch(what, wanted, took)]
        if found.raw.ret:
            return [Mismatch(what, wanted, f"KVM_RUN failed with errno {names.errno(found.raw.errno)}")]
        if found.exit_reason != self.reason:
            return [Mismatch(what, wanted, _explain(found), kvm_run.EXIT_REASON.span)]
        return []


def _explain(found: Event) -> str:
    """Return an unexpected exit in words, with the registers or the event type that explain it."""
    shown = names.exit_reason(found.exit_reason)
    registers = found.registers
    if found.exit_reason == ExitReason.MMIO and "x0" in registers:
        return f"{shown}: the guest went on, x0={registers['x0']:#x}"
    if found.exit_reason == ExitReason.MMIO and "a0" in registers:
        return f"{shown}: the guest went on, a0={registers['a0']:#x} a1={registers['a1']:#x}"
    if found.exit_reason == ExitReason.IO:
        return f"{shown}: the guest went on"
    if found.exit_reason == ExitReason.SYSTEM_EVENT:
        return f"{shown} of type {names.event_type(found.field('type'))}"
    return shown


class Holds(msgspec.Struct, frozen=True):
    """A member of kvm_run has this value. The member is named as in abi/kvm_run.py."""

    field: str
    value: int
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        what = f"{_prefix(self.label)}{self.field}"
        if found is None:
            return [Mismatch(what, _shown(self.field, self.value), "no such exit was recorded")]
        got = found.field(self.field)
        if got == self.value:
            return []
        member = kvm_run.FIELDS[self.field]
        raw = found.raw.head[member.offset : member.offset + member.size]
        unwritten = found.raw.poison is not None and raw == bytes([found.raw.poison]) * member.size
        shown = "not written (still poison)" if unwritten else _shown(self.field, got)
        return [Mismatch(what, _shown(self.field, self.value), shown, member.span)]


class Reads(msgspec.Struct, frozen=True):
    """A program that has this offset compiled in for a member of kvm_run's union reads this value there.

    For programs of an ABI whose layout differs from the kernel's.
    """

    # The member's name for users: "xen.u.hcall.cpl".
    member: str
    # From the beginning of the union, in bytes.
    offset: int
    # In bytes.
    size: int
    value: int
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        at = kvm_run.UNION[0] + self.offset
        raw = seen.exits.get(self.label)
        if raw is None:
            return [Mismatch(self.member, f"{self.value:#x}", "no such exit was recorded")]
        got = int.from_bytes(raw.head[at : at + self.size], "little")
        if got == self.value:
            return []
        return [Mismatch(self.member, f"{self.value:#x}", f"{got:#x}", (at, at + self.size))]


class NoNdata(msgspec.Struct, frozen=True):
    """The bytes of ndata are 0 or not written.

    Before v5.18 they are padding, and a program that reads them must not find a count there.
    """

    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        if found is None:
            return []
        raw = found.raw.head[kvm_run.NDATA.offset : kvm_run.NDATA.offset + kvm_run.NDATA.size]
        poison = b"" if found.raw.poison is None else bytes([found.raw.poison]) * 4
        if raw in (bytes(4), poison):
            return []
        got = f"{found.field('ndata')}, without capability 215"
        return [Mismatch(f"{_prefix(self.label)}ndata", "0 or not written", got, kvm_run.NDATA.span)]


class Written(msgspec.Struct, frozen=True):
    """KVM wrote exactly these bytes of the union: they lost their poison."""

    # Half-open ranges of offsets in kvm_run.
    spans: tuple[tuple[int, int], ...]
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        got = found.written if found else ()
        if found and got == self.spans:
            return []
        return [Mismatch(f"{_prefix(self.label)}written bytes", spans(self.spans), spans(got), kvm_run.UNION)]


class NothingBeyond(msgspec.Struct, frozen=True):
    """KVM wrote nothing after the union: neither kvm_valid_regs, nor kvm_dirty_regs, nor the rest of the page.

    Bytes 304..311 are left out: arm64's KVM reads and writes s.regs.device_irq_level there if userspace emulates the
    interrupt controller (arch/arm64/kvm/arch_timer.c, kvm_timer_update_run).
    """

    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        if found is None or found.raw.poison is None:
            return []
        wrong = []
        for member in (kvm_run.VALID_REGS, kvm_run.DIRTY_REGS):
            if found.field(member.name):
                wrong.append(Mismatch(member.name, "0", f"{found.field(member.name):#x}", member.span))
        start = kvm_run.SYNC_REST.offset
        rest = found.raw.head[start:]
        if rest != bytes([found.raw.poison]) * len(rest):
            wrong.append(
                Mismatch("bytes after the union", "not written", "written", (start, len(found.raw.head)))
            )
        if found.raw.tail_changed:
            got = f"{found.raw.tail_changed} bytes written, the first at {found.raw.tail_first}"
            wrong.append(Mismatch("bytes after the union", "not written", got))
        return wrong


class RegisterHolds(msgspec.Struct, frozen=True):
    """A register of the vCPU that exited has this value. It is named as in abi/registers.py."""

    name: str
    value: int
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        found = event(seen, self.label)
        what = f"{_prefix(self.label)}{self.name}"
        if found is None or self.name not in found.registers:
            return [Mismatch(what, f"{self.value:#x}", "the registers were not read")]
        got = found.registers[self.name]
        return [] if got == self.value else [Mismatch(what, f"{self.value:#x}", f"{got:#x}")]


class PcAt(msgspec.Struct, frozen=True):
    """The program counter is at a label of a payload."""

    # "call.returned" is the label `returned` of the payload call.
    symbol: str
    # pc or rip.
    register: str
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        if self.label not in seen.exits:
            what = f"{_prefix(self.label)}{self.register}"
            return [Mismatch(what, f"the address of {self.symbol}", "no such exit was recorded")]
        return RegisterHolds(self.register, seen.symbols[self.symbol], self.label).mismatches(seen)


class RegisterHoldsOneOf(msgspec.Struct, frozen=True):
    """A register of the vCPU that exited has one of these values."""

    name: str
    # Numbers, and labels of payloads, named as in PcAt.
    values: tuple[int | str, ...]
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        if self.label not in seen.exits:
            wanted = " or ".join(value if isinstance(value, str) else f"{value:#x}" for value in self.values)
            return [Mismatch(f"{_prefix(self.label)}{self.name}", wanted, "no such exit was recorded")]
        values = [seen.symbols[value] if isinstance(value, str) else value for value in self.values]
        found = [RegisterHolds(self.name, value, self.label).mismatches(seen) for value in values]
        if not all(found):
            return []
        wanted = " or ".join(f"{value:#x}" for value in values)
        return [Mismatch(found[0][0].what, wanted, found[0][0].got)]


def spans(found: tuple[tuple[int, int], ...]) -> str:
    """Return half-open byte ranges as text with inclusive ends: "32..167"; "none" for no range."""
    return ", ".join(f"{start}..{end - 1}" for start, end in found) or "none"
