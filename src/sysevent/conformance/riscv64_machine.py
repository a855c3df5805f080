"""Machines of the model of riscv64: harts, and the interrupt controller that KVM has for them."""

from __future__ import annotations

import msgspec

from sysevent.conformance import machine as base

# Numbers of a0, a1, … among x1 to x31, of which ra, x1, is the first.
_A0 = 9
# Interrupts of an IMSIC, 0 to 63, of which 0 is none.
IDS = 64


class Imsic(msgspec.Struct, frozen=True):
    """A hart's file of interrupts. Each is a bit of a number."""

    delivery: bool = False
    # Interrupts below it pass; 0, or more than there are: all do.
    threshold: int = 0
    pending: int = 0
    enabled: int = 0

    @property
    def signals(self) -> bool:
        """Whether the hart has an external interrupt by it (imsic_mrif_topei)."""
        end = self.threshold if 0 < self.threshold <= IDS else IDS
        return self.delivery and bool(self.pending & self.enabled & ((1 << end) - 2))


class Aplic(msgspec.Struct, frozen=True):
    """The controller of wired interrupts, of which source 1 is used."""

    # The domain sends interrupts.
    sends: bool = False
    # SOURCE_* of abi/aia.py.
    mode: int = 0
    enabled: bool = False
    pending: bool = False
    # The level of its input.
    input: bool = False
    # A hart and the interrupt that it is sent.
    target: int = 0


class Vcpu(base.Vcpu, frozen=True, kw_only=True):
    """A hart."""

    # x1 to x31.
    x: tuple[int, ...] = (0,) * 31
    pc: int = 0
    # An external interrupt is pending; it is enabled (sie).
    line: bool = False
    enabled: bool = False
    # Address and a1 of a HART_START whose reset is still to come (KVM_REQ_VCPU_RESET).
    start: tuple[int, int] | None = None
    # The store of the last MMIO exit is not completed.
    mmio: bool = False
    # KVM_RUN was entered once.
    ran: bool = False
    # SRST is turned on; SUSP is.
    srst: bool = True
    susp: bool = False
    # With an AIA in the kernel.
    imsic: Imsic | None = None
    # Userspace has the call, and its results are those of the next KVM_RUN.
    forwarded: bool = False

    def a(self, number: int) -> int:
        """Return an argument register."""
        return self.x[_A0 + number]

    def with_a(self, first: int, *values: int) -> tuple[int, ...]:
        """Return the registers x1 to x31 with argument registers replaced, from the first one on."""
        at = _A0 + first
        return (*self.x[:at], *values, *self.x[at + len(values) :])


class Machine(base.Machine, frozen=True, kw_only=True):
    """A virtual machine. Harts but the first begin as STOPPED."""

    vcpus: tuple[Vcpu, ...]
    # The kernel was built with the legacy calls (CONFIG_RISCV_SBI_V01).
    legacy: bool = False
    # Of an AIA in the kernel.
    aplic: Aplic | None = None
