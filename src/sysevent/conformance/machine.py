"""What the machines of all architectures share: a vCPU's way through KVM_RUN, its page kvm_run, and actions.

A machine is a frozen value. KVM_RUN is cut into steps between which another vCPU can run: a vCPU that was entered is in
LOOP, before the guest; a call that trapped is TRAPPED, and no longer kept back by what stops vCPUs; a call that sleeps
is WAITING; and after the last step it is DONE. What userspace sees is decided then.
"""

from __future__ import annotations

import enum
import struct
from typing import Any

import msgspec

from sysevent.abi import kvm_run
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.conformance.rules import Rule
from sysevent.scenario.steps import POISON, poisoned

_FIRST, _END = kvm_run.UNION
_POISON_UNION = bytes([POISON]) * (_END - _FIRST)
# Of the reasons that the VMM leaves in kvm_run, because KVM completes these exits by them (guests/vmm/vcpu.c).
_COMPLETED = (ExitReason.MMIO, ExitReason.RISCV_SBI)
# Kinds of actions that enter KVM_RUN: see Action.kind.
_ENTERS = frozenset(("call", "next", "run", "smc", "wfi", "kick_cpu"))


class Phase(enum.IntEnum):
    """How far a vCPU is in KVM_RUN."""

    # Not in KVM_RUN.
    OUT = 0
    # In KVM_RUN, in front of the guest's next instruction, or kept from it.
    LOOP = 1
    # The guest's call has trapped, and KVM has not handled it yet.
    TRAPPED = 2
    # KVM handles a call that sleeps until an interrupt.
    WAITING = 3
    # KVM_RUN has returned.
    DONE = 4


class Mode(enum.IntFlag):
    """How KVM_RUN is entered."""

    # kvm_run is left as the last exit left it, not poisoned.
    KEEP = 1
    # kvm_run.immediate_exit is set.
    IMMEDIATE = 2
    # A signal is pending.
    SIGNALLED = 4
    # The exit is not waited for: other actions come before it.
    ASYNC = 8


class Action(msgspec.Struct, frozen=True, array_like=True):
    """One thing that userspace, or a guest that userspace runs, does."""

    # "call": set all registers, then KVM_RUN. "next": set the arguments alone, for a guest whose last call came back.
    # "run": KVM_RUN. "wait": wait for a KVM_RUN that was entered with Mode.ASYNC. "smc", "wfi", "kick_cpu": as "call",
    # with another instruction of the guest (Contract.other_calls). All others are ioctls, which the architecture names.
    kind: str
    vcpu: int = 0
    values: tuple[int, ...] = ()
    mode: int = 0

    @property
    def enters(self) -> bool:
        """Whether the action enters KVM_RUN."""
        return self.kind in _ENTERS

    @property
    def waits(self) -> bool:
        """Whether the action ends with the exit of a KVM_RUN."""
        return self.kind == "wait" or (self.enters and not self.mode & Mode.ASYNC)

    def __str__(self) -> str:
        values = ", ".join(f"{value:#x}" for value in self.values)
        flags = "".join(f" {flag.name}" for flag in Mode if self.mode & flag)
        return f"vCPU {self.vcpu} {self.kind}({values}){flags}"


class Page(msgspec.Struct, frozen=True):
    """The members of kvm_run that KVM writes."""

    reason: int = 0
    flags: int = 0
    # The bytes of the union.
    union: bytes = bytes(_END - _FIRST)

    def entered(self, *, keep: bool) -> Page:
        """Return the page as the VMM prepares it for KVM_RUN: poisoned, unless it is kept."""
        if keep:
            return self
        reason = self.reason if self.reason in _COMPLETED else poisoned(4)
        return Page(reason, poisoned(2), _POISON_UNION)

    def write(self, at: int, data: bytes) -> Page:
        """Return the page with bytes of the union replaced; at counts from the beginning of kvm_run."""
        start = at - _FIRST
        union = self.union[:start] + data + self.union[start + len(data) :]
        return Page(self.reason, self.flags, union)

    def event(self, kind: int, data: tuple[int, ...]) -> Page:
        """Return the page of a system event, all of whose structure KVM writes: zeros behind the data."""
        words = struct.pack("<II16Q", kind, len(data), *data, *[0] * (16 - len(data)))
        return self.exit(ExitReason.SYSTEM_EVENT).write(kvm_run.TYPE.offset, words)

    def store(self, address: int, value: int) -> Page:
        """Return the page of a store of 8 bytes to an address without memory: KVM_EXIT_MMIO."""
        words = struct.pack("<QQIB", address, value, 8, 1)
        return self.exit(ExitReason.MMIO).write(kvm_run.MMIO_ADDRESS.offset, words)

    def exit(self, reason: int) -> Page:
        """Return the page with another exit reason."""
        return Page(reason, self.flags, self.union)


class Vcpu(msgspec.Struct, frozen=True, kw_only=True):
    """What all architectures know of a vCPU."""

    phase: Phase = Phase.OUT
    mp_state: int = 0
    page: Page = Page()
    # What KVM_RUN returned when it is DONE: 0, or the error number.
    errno: int = 0
    # The rule by which it was DONE.
    rule: Rule | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual machine."""

    vcpus: tuple[Any, ...]

    def put(self, number: int, **changes: Any) -> Any:
        """Return the machine with members of one vCPU changed."""
        return self.replace(number, msgspec.structs.replace(self.vcpus[number], **changes))

    def replace(self, number: int, vcpu: Vcpu) -> Any:
        """Return the machine with another vCPU in the place of one."""
        vcpus = (*self.vcpus[:number], vcpu, *self.vcpus[number + 1 :])
        return msgspec.structs.replace(self, vcpus=vcpus)

    def done(self, number: int, rule: Rule, page: Page, errno: int = 0, **changes: Any) -> Any:
        """Return the machine after KVM_RUN of a vCPU has returned."""
        return self.put(number, phase=Phase.DONE, page=page, errno=errno, rule=rule, **changes)

    def interrupted(self, number: int, rule: Rule, **changes: Any) -> Any:
        """Return the machine after a signal has ended KVM_RUN of a vCPU."""
        page = self.vcpus[number].page.exit(ExitReason.INTR)
        return self.done(number, rule, page, Errno.EINTR, **changes)


class Answer(msgspec.Struct, frozen=True):
    """What an ioctl returns, as the model predicts it."""

    errno: int = 0
    # The value in its structure; None: there is none, or the model says nothing about it.
    value: int | None = None
    # What the ioctl returns when it succeeds; None: the model says nothing about it.
    ret: int | None = 0
