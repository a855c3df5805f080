"""x86 machines, what guests and userspace write to their MSRs, and the events that this requests."""

from __future__ import annotations

import functools
import struct

import msgspec

from sysevent.abi import kvm_run
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, CRASH_NOTIFY_MESSAGE, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.conformance import machine as base
from sysevent.conformance import x86_64_rules as rule
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Action, Answer, Mode, Page
from sysevent.conformance.rules import Rule
from sysevent.scenario.x86_64 import NO_MSR, RAM, RETURNED_PORT

# The payload "wrmsr" by its instructions: WRMSR, and OUT behind it; the jump back follows. Each has two bytes.
WRMSR, _OUT = RAM, RAM + 2
# The data of an OUT: the second page of kvm_run (KVM_PIO_PAGE_OFFSET).
_PIO_DATA = 0x1000
_PARAMETERS = 5
# Variants: without Hyper-V's CPUID; without the bits of the reset and of the crash MSRs; local APICs in the kernel.
BARE, NO_BITS, APIC = "bare", "no bits", "split"
BLOCKING = (MpState.UNINITIALIZED, MpState.HALTED, MpState.AP_RESET_HOLD)
# fmt: off
_WRITES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((MSR_RESET, 1), (MSR_RESET, 1), (MSR_RESET, 0), (MSR_RESET, 2), (MSR_RESET, 1 << 32 | 1), (MSR_RESET, 3)),
    ((MSR_CRASH_CTL, CRASH_NOTIFY), (MSR_CRASH_CTL, CRASH_NOTIFY | CRASH_NOTIFY_MESSAGE),
     (MSR_CRASH_CTL, CRASH_NOTIFY_MESSAGE), (MSR_CRASH_CTL, 1)),
    tuple((MSR_CRASH_P0 + n, 0xC0DE_0000_0000_0000 + n) for n in range(_PARAMETERS)),
)
# fmt: on


class Vcpu(base.Vcpu, frozen=True, kw_only=True):
    """A vCPU in flat protected mode without an IDT."""

    # rax, rbx, …; None: nothing is known of the registers, as before the first Entry and after a triple fault.
    general: tuple[int, ...] | None = None
    rip: int = 0
    # Events that are requested.
    triple_fault: bool = False
    crash: bool = False
    reset: bool = False
    # An OUT is not completed: its address.
    out: int | None = None
    # KVM_CAP_HYPERV_ENFORCE_CPUID.
    enforced: bool = False


class Machine(base.Machine, frozen=True, kw_only=True):
    """A virtual machine."""

    vcpus: tuple[Vcpu, ...]
    variant: str = ""
    # KVM_CAP_X86_TRIPLE_FAULT_EVENT is enabled.
    triple_faults: bool = False
    # HV_X64_MSR_CRASH_CTL, as userspace reads it, and HV_X64_MSR_CRASH_P0 to P4.
    crash_ctl: int = 0
    parameters: tuple[int, ...] = (0,) * _PARAMETERS

    def with_parameter(self, msr: int, value: int) -> Machine:
        """Return the machine with another value in one of HV_X64_MSR_CRASH_P0 to P4."""
        at = msr - MSR_CRASH_P0
        parameters = (*self.parameters[:at], value, *self.parameters[at + 1 :])
        return msgspec.structs.replace(self, parameters=parameters)


@functools.cache
def choices(n: int, blocked: bool, begun: bool) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions on a vCPU. begun: its guest has a program, so that it can be entered again."""
    calls = tuple(tuple(Action("call", n, one) for one in group) for group in (*_WRITES, ((NO_MSR, 0),)))
    runs = tuple(Action("run", n, (), mode) for mode in (0, 0, Mode.KEEP, Mode.IMMEDIATE, Mode.SIGNALLED))
    states = tuple(Action("set_state", n, (state,)) for state in (0, 1, 3, 9, 3, 5, 10, 11, 0x1_0000))
    msrs = (MSR_RESET, MSR_CRASH_CTL, *(MSR_CRASH_P0 + number for number in range(_PARAMETERS)))
    host = tuple(tuple(Action("set_msr", n, one) for one in group) for group in _WRITES)
    triple = (
        Action("triple_fault", n, (1,)),
        Action("triple_fault", n, (1,)),
        Action("triple_fault", n, (0,)),
    )
    always = (
        states,
        (Action("get_state", n),),
        *host,
        tuple(Action("get_msr", n, (msr,)) for msr in msrs),
        triple,
        (Action("events", n),),
        tuple(Action("enable", 0, values) for values in ((1, 0), (1, 0), (0, 0), (1, 1))),
        tuple(Action("enforce", n, values) for values in ((1, 0), (1, 0), (0, 0), (1, 1))),
    )
    if blocked:
        return (*(runs,) * 3, *((Action("set_state", n, (0,)),),) * 5, *always)
    return (*(runs,) * (4 * begun), *calls[:3] * 2, *calls, *always)


def host_set(m: Machine, n: int, msr: int, value: int) -> tuple[Machine, Rule, Answer]:
    taken = Answer(ret=1)
    if msr == MSR_RESET and value == 1:
        return m.put(n, reset=True), rule.HOST_RESET, taken
    if msr == MSR_CRASH_CTL:
        return msgspec.structs.replace(m, crash_ctl=value & CRASH_NOTIFY), rule.HOST_SET, taken
    if msr != MSR_RESET:
        m = m.with_parameter(msr, value)
    return m, rule.HOST_SET, taken


def host_get(m: Machine, msr: int) -> int:
    if msr == MSR_RESET:
        return 0
    return m.crash_ctl if msr == MSR_CRASH_CTL else m.parameters[msr - MSR_CRASH_P0]


def _without_data(page: Page, kind: int) -> Page:
    """Return the page of a system event of which KVM writes type and ndata alone."""
    return page.exit(ExitReason.SYSTEM_EVENT).write(kvm_run.TYPE.offset, struct.pack("<II", kind, 0))


def requested(m: Machine, n: int) -> Next | None:
    """Return the machine after the first of the events that are requested; None if there is none, or it must wait."""
    vcpu = m.vcpus[n]
    if vcpu.mp_state in BLOCKING:
        return None
    others = vcpu.triple_fault + vcpu.crash + vcpu.reset > 1
    if vcpu.triple_fault:
        why = rule.ORDER if others else rule.TRIPLE_FAULT
        return m.done(n, why, vcpu.page.exit(ExitReason.SHUTDOWN), triple_fault=False), why
    if vcpu.crash:
        why = rule.ORDER if others else rule.CRASH
        return m.done(n, why, _without_data(vcpu.page, EventType.CRASH), crash=False), why
    if vcpu.reset:
        return m.done(n, rule.RESET, _without_data(vcpu.page, EventType.RESET), reset=False), rule.RESET
    return None


def guest(m: Machine, n: int) -> Next:
    """Return the machine after a vCPU has run its guest up to the next instruction that KVM emulates."""
    vcpu = m.vcpus[n]
    if vcpu.rip == _OUT:
        written = struct.pack("<BBHIQ", 1, 1, RETURNED_PORT, 1, _PIO_DATA)
        page = vcpu.page.exit(ExitReason.IO).write(kvm_run.IO_DIRECTION.offset, written)
        return m.done(n, rule.OUT, page, out=_OUT), rule.OUT
    assert vcpu.general is not None
    eax, _, msr, edx = vcpu.general[:4]
    refused = _refused(m, vcpu, msr)
    if refused:
        return m.done(n, refused, vcpu.page.exit(ExitReason.SHUTDOWN), general=None, rip=0), refused
    behind = m.put(n, rip=_OUT)
    return _write(behind, n, msr, edx << 32 | eax)


def _write(m: Machine, n: int, msr: int, value: int) -> Next:
    if msr == MSR_RESET:
        return (m.put(n, reset=True), rule.RESET) if value == 1 else (m, rule.RESET_IGNORED)
    if msr == MSR_CRASH_CTL:
        return (m.put(n, crash=True), rule.CRASH) if value & CRASH_NOTIFY else (m, rule.CRASH_IGNORED)
    return m.with_parameter(msr, value), rule.PARAMETER


def _refused(m: Machine, vcpu: Vcpu, msr: int) -> Rule | None:
    """Return the rule by which a guest's write is #GP; None if it is not."""
    if msr == NO_MSR:
        return rule.UNKNOWN_MSR
    if m.variant == BARE:
        return rule.ABSENT
    return rule.ENFORCED if m.variant == NO_BITS and vcpu.enforced else None
