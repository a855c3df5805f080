"""x86 machines, and what their guests do: writes to MSRs, a hypercall, an OUT."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from sysevent.abi import kvm_run
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.abi.number import as_register
from sysevent.abi.x86_64 import HC_KICK_CPU
from sysevent.conformance import machine as base
from sysevent.conformance import x86_64_rules as rule
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Answer
from sysevent.conformance.rules import Rule
from sysevent.scenario.x86_64 import KICK, NO_MSR, RAM, RETURNED_PORT

# The payload "wrmsr" by its instructions: WRMSR, OUT, and the jump back, of two bytes each; the hypercall, of three
# bytes, OUT, and the jump back to the hypercall.
WRMSR, _OUT, _KICK_OUT = RAM, RAM + 2, KICK + 3
_LOW = (1 << 32) - 1
# The data of an OUT: the second page of kvm_run (KVM_PIO_PAGE_OFFSET).
_PIO_DATA = 0x1000
PARAMETERS = 5
# -KVM_ENOSYS (include/uapi/linux/kvm_para.h).
_NO_HYPERCALL = as_register(-1000)
# hypercall.ret of kvm_run.
_HYPERCALL_RET = kvm_run.UNION[0] + 56
# Variants: without Hyper-V's CPUID; without the bits of the reset and of the crash MSRs; local APICs in the kernel; PIC
# and I/O APIC, too; that, and a page where a SIPI starts vCPUs.
BARE, NO_BITS, APIC, FULL, STARTS = "bare", "no bits", "split", "full", "starts"
BLOCKING = (MpState.UNINITIALIZED, MpState.INIT_RECEIVED, MpState.HALTED, MpState.AP_RESET_HOLD)


class Vcpu(base.Vcpu, frozen=True, kw_only=True):
    """A vCPU in flat protected mode without an IDT."""

    # rax, rbx, …; None: nothing is known of the registers, as before the first Entry and after a triple fault.
    general: tuple[int, ...] | None = None
    rip: int = 0
    # Events that are requested.
    triple_fault: bool = False
    crash: bool = False
    reset: bool = False
    # KVM_REQ_NMI; how many NMIs are pending; one whose delivery has begun, and was given up for a signal; the guest has
    # not executed IRET since the last one.
    nmi_requested: bool = False
    nmis: int = 0
    nmi_injected: bool = False
    nmi_masked: bool = False
    # An INIT, a SIPI is pending in its local APIC; it executes in the page where a SIPI has started it.
    init: bool = False
    sipi: bool = False
    started: bool = False
    # Another vCPU has kicked it, and it has not slept since (pv_unhalted).
    kicked: bool = False
    # KVM_X86_SETUP_MCE.
    machine_checks: bool = False
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
    parameters: tuple[int, ...] = (0,) * PARAMETERS

    @property
    def has_apics(self) -> bool:
        """Whether KVM has the vCPUs' local APICs."""
        return self.variant in (APIC, FULL, STARTS)

    def with_parameter(self, msr: int, value: int) -> Machine:
        """Return the machine with another value in one of HV_X64_MSR_CRASH_P0 to P4."""
        at = msr - MSR_CRASH_P0
        parameters = (*self.parameters[:at], value, *self.parameters[at + 1 :])
        return msgspec.structs.replace(self, parameters=parameters)


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


def guest(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after a vCPU has run its guest up to the next instruction that KVM emulates."""
    vcpu = m.vcpus[n]
    if vcpu.started or vcpu.rip in (_OUT, _KICK_OUT):
        written = struct.pack("<BBHIQ", 1, 1, RETURNED_PORT, 1, _PIO_DATA)
        page = vcpu.page.exit(ExitReason.IO).write(kvm_run.IO_DIRECTION.offset, written)
        # KVM completes it with registers of which nothing is known here.
        yield m.done(n, rule.OUT, page, out=None if vcpu.started else vcpu.rip), rule.OUT
        return
    assert vcpu.general is not None
    if vcpu.rip in (KICK, _KICK_OUT + 2):
        yield from _kick_cpu(m, n)
        return
    eax, _, msr, edx = vcpu.general[:4]
    refused = _refused(m, vcpu, msr)
    if refused:
        # SVM's intercept resets the vCPU, which drops NMIs that are masked; VMX leaves it.
        for left in dict.fromkeys((0, vcpu.nmis)):
            page = vcpu.page.exit(ExitReason.SHUTDOWN)
            yield m.done(n, refused, page, general=None, rip=0, nmis=left), refused
        return
    behind = m.put(n, rip=_OUT)
    yield _write(behind, n, msr, edx << 32 | eax)


def _kick_cpu(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after KVM_HC_KICK_CPU, whose third register is the APIC ID of a vCPU: it is the vCPU's number.

    A vCPU that repeats it has the result as the number of its hypercall, which KVM does not know. Later kernels than
    6.12 leave the result in kvm_run, too.
    """
    general, page = m.vcpus[n].general, m.vcpus[n].page
    assert general is not None
    number, target = general[0], general[2]
    result = 0 if number == HC_KICK_CPU else _NO_HYPERCALL
    m = m.put(n, general=(result & _LOW, *general[1:]), rip=_KICK_OUT)
    found = [m]
    if not result and m.has_apics and target < len(m.vcpus):
        # The last vCPU may not be in KVM's map of local APICs, which is made before the VM has the vCPU.
        last = target == len(m.vcpus) - 1
        found = [m.put(target, kicked=True), *([m] if last else [])]
    written = page.write(_HYPERCALL_RET, struct.pack("<Q", result))
    for after in found:
        yield after, rule.KICK
        yield after.put(n, page=written), rule.KICK


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
