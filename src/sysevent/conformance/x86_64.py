"""The model of x86: vCPUs that write Hyper-V's MSRs, and a VMM that sets these MSRs, MP states and triple faults.

Read from arch/x86/kvm of Linux 6.12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.conformance import x86_64_rules as rule
from sysevent.conformance.contract import Configuration, Contract, Next
from sysevent.conformance.machine import Action, Answer, Mode, Phase
from sysevent.conformance.rules import Rule
from sysevent.conformance.x86_64_msrs import (
    APIC,
    BARE,
    BLOCKING,
    NO_BITS,
    WRMSR,
    Machine,
    Vcpu,
    choices,
    guest,
    host_get,
    host_set,
    requested,
)
from sysevent.model import Facts
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Step
from sysevent.scenario.x86_64 import (
    BARE_CPUID,
    get_msrs,
    hyperv_cpuid,
    registers,
    set_msrs,
    vm_with_vcpus,
)
from sysevent.scenario.x86_64_machine import IRQCHIPS
from sysevent.scenario.x86_64_state import get_events, inject_triple_fault

_RFLAGS, _CODE_SELECTOR, _CR0 = 2, 8, 0x6000_0011
# The offset of triple_fault.pending in struct kvm_vcpu_events, and the size of that, in bytes.
_PENDING_AT, _EVENTS = 28, 64
# Number of registers before rip: rax, rbx, rcx, rdx, …
_GENERAL = 16


class X86(Contract):
    """x86's KVM, of a kernel with these facts. The kernel must have KVM_CAP_X86_TRIPLE_FAULT_EVENT."""

    arch = "x86_64"
    rules = rule.RULES
    values_of_call = (2,)
    configurations = (
        Configuration(1),
        Configuration(2),
        Configuration(1, BARE),
        Configuration(1, NO_BITS),
        Configuration(2, APIC),
        Configuration(3),
        Configuration(4, APIC),
    )

    def __init__(self, facts: Facts) -> None:
        """facts: what the kernel says of itself."""

    @staticmethod
    def fits(facts: Facts) -> str:
        """Return why the model does not describe a kernel; "" if it does."""
        needed = (
            Capability.SYSTEM_EVENT_DATA,
            Capability.X86_TRIPLE_FAULT_EVENT,
            Capability.HYPERV_ENFORCE_CPUID,
            Capability.HYPERV,
        )
        if (
            any(facts.capabilities.get(one.on_vm, 0) <= 0 for one in needed)
            or "hyperv.gated" not in facts.features
        ):
            needed_too = "and needs CONFIG_KVM_HYPERV"
            return f"the model of x86 begins with KVM_CAP_X86_TRIPLE_FAULT_EVENT (218), v6.0, {needed_too}"
        return ""

    def machine(self, made: Configuration) -> Machine:
        waits = made.variant == APIC
        vcpus = tuple(
            Vcpu(mp_state=MpState.UNINITIALIZED if waits and n else MpState.RUNNABLE)
            for n in range(made.vcpus)
        )
        return Machine(vcpus=vcpus, variant=made.variant)

    def setup(self, made: Configuration) -> tuple[Step, ...]:
        leaves = {BARE: BARE_CPUID, NO_BITS: hyperv_cpuid(reset=False, crash=False)}
        return vm_with_vcpus(
            "wrmsr",
            cpuid=leaves.get(made.variant, hyperv_cpuid()),
            vcpus=made.vcpus,
            before_vcpus=IRQCHIPS[made.variant if made.variant == APIC else ""],
        )

    def choices(self, machine: Machine, vcpu: int) -> tuple[tuple[Action, ...], ...]:
        one = machine.vcpus[vcpu]
        return choices(vcpu, one.mp_state in BLOCKING, one.general is not None)

    def steps(self, action: Action, label: str) -> tuple[Step, ...]:
        n, values = action.vcpu, action.values
        match action.kind:
            case "call":
                return (Entry("wrmsr", registers(*values), n),)
            case "set_state":
                return (ioctls.set_mp_state(n, values[0], label),)
            case "get_state":
                return (ioctls.get_mp_state(n, label),)
            case "set_msr":
                return (set_msrs(label, {values[0]: values[1]}, n),)
            case "get_msr":
                return (get_msrs(label, values[0], vcpu=n),)
            case "triple_fault":
                return (inject_triple_fault(label, values[0], n),)
            case "events":
                return (get_events(label, n),)
            case "enable":
                cap = Capability.X86_TRIPLE_FAULT_EVENT
                return (ioctls.enable_cap("vm", cap, values[0], flags=values[1], label=label),)
            case "enforce":
                cap = Capability.HYPERV_ENFORCE_CPUID
                return (ioctls.enable_cap(n, cap, values[0], flags=values[1], label=label),)
        return ()

    def value(self, action: Action, data: bytes) -> int:
        return data[_PENDING_AT] if action.kind == "events" else super().value(action, data)

    def packed(self, action: Action, value: int) -> bytes:
        if action.kind != "events":
            return super().packed(action, value)
        return bytes(_PENDING_AT) + bytes([value]) + bytes(_EVENTS - _PENDING_AT - 1)

    def ask(  # noqa: C901 - an arm an ioctl
        self, machine: Machine, action: Action
    ) -> Iterator[tuple[Machine, Rule, Answer]]:
        m, n, values = machine, action.vcpu, action.values
        invalid = Answer(Errno.EINVAL)
        match action.kind:
            case "get_state":
                yield m, rule.GET_STATE, Answer(value=m.vcpus[n].mp_state)
            case "set_state" if values[0] == MpState.RUNNABLE or (
                values[0] in BLOCKING and m.variant == APIC
            ):
                yield m.put(n, mp_state=values[0]), rule.SET_STATE, Answer()
            case "set_state":
                yield m, rule.SET_STATE_REFUSED, invalid
            case "set_msr":
                yield host_set(m, n, *values)
            case "get_msr":
                yield m, rule.HOST_GET, Answer(value=host_get(m, values[0]), ret=1)
            case "triple_fault" if not m.triple_faults:
                yield m, rule.TRIPLE_FAULT_REFUSED, invalid
            case "triple_fault":
                yield m.put(n, triple_fault=bool(values[0])), rule.TRIPLE_FAULT, Answer()
            case "events":
                yield m, rule.EVENTS, Answer(value=int(m.vcpus[n].triple_fault and m.triple_faults))
            case "enable" if values[1]:
                yield m, rule.ENABLE, invalid
            case "enable":
                yield msgspec.structs.replace(m, triple_faults=bool(values[0])), rule.ENABLE, Answer()
            case "enforce" if values[1]:
                yield m, rule.ENFORCE, invalid
            case "enforce":
                yield m.put(n, enforced=bool(values[0])), rule.ENFORCE, Answer()

    def set_up_call(self, machine: Machine, action: Action) -> Machine:
        set_ = registers(*action.values)
        general = (*set_, *(0,) * (_GENERAL - len(set_)))
        called: Machine = machine.put(action.vcpu, general=general, rip=WRMSR)
        return called

    def enter(self, machine: Machine, action: Action) -> Iterator[Next]:
        n, mode = action.vcpu, action.mode
        vcpu = machine.vcpus[n]
        page = msgspec.structs.replace(vcpu.page.entered(keep=bool(mode & Mode.KEEP)), flags=0)
        m, reason = machine.put(n, page=page), rule.SIGNALLED
        if vcpu.mp_state == MpState.UNINITIALIZED:
            yield self._enter_uninitialized(m, n, mode)
            return
        if vcpu.out is not None:
            rip = vcpu.rip + 2 if vcpu.rip == vcpu.out else vcpu.rip
            m, reason = m.put(n, out=None, rip=rip), rule.COMPLETED
        if mode & Mode.IMMEDIATE:
            yield m.done(n, rule.IMMEDIATE, page, Errno.EINTR), rule.IMMEDIATE
            return
        m = m.put(n, page=page.exit(ExitReason.UNKNOWN), phase=Phase.LOOP)
        if not mode & Mode.SIGNALLED or requested(m, n):
            yield m, reason
        elif vcpu.mp_state in BLOCKING and vcpu.triple_fault:
            yield m.interrupted(n, rule.WAKES, mp_state=MpState.RUNNABLE), rule.WAKES
        else:
            why = rule.BLOCKS if vcpu.mp_state in BLOCKING else rule.SIGNALLED
            yield m.interrupted(n, why), why

    @staticmethod
    def _enter_uninitialized(m: Machine, n: int, mode: int) -> Next:
        """Return the machine after KVM_RUN of a vCPU that another one has to start: nothing is completed before."""
        page = m.vcpus[n].page
        if mode & Mode.IMMEDIATE:
            return m.done(n, rule.IMMEDIATE, page, Errno.EINTR), rule.IMMEDIATE
        if mode & Mode.SIGNALLED:
            return m.interrupted(n, rule.BLOCKS), rule.BLOCKS
        if m.vcpus[n].triple_fault:
            return m.done(n, rule.WAKES, page, Errno.EAGAIN), rule.WAKES
        return m.put(n, phase=Phase.LOOP), rule.BLOCKS

    def advance(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        one = machine.vcpus[vcpu]
        if one.phase is not Phase.LOOP:
            return
        if one.mp_state in BLOCKING:
            if one.triple_fault:
                yield machine.put(vcpu, mp_state=MpState.RUNNABLE), rule.WAKES
            return
        found = requested(machine, vcpu)
        if found:
            yield found
        elif one.general is not None:
            yield guest(machine, vcpu)

    def kick(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        one = machine.vcpus[vcpu]
        if one.phase is Phase.LOOP and not requested(machine, vcpu):
            why = rule.BLOCKS if one.mp_state in BLOCKING else rule.SIGNALLED
            yield machine.interrupted(vcpu, why), why

    def registers(self, machine: Machine, vcpu: int) -> Sequence[int | None]:
        one = machine.vcpus[vcpu]
        if one.general is None:
            return (None,) * (_GENERAL + 5)
        return (*one.general, one.rip, _RFLAGS, 0, _CODE_SELECTOR, _CR0)
