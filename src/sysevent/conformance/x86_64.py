"""The model of x86: vCPUs that write Hyper-V's MSRs, and a VMM that sets these MSRs, MP states and triple faults.

Read from arch/x86/kvm of Linux 6.12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.conformance import x86_64_rules as rule
from sysevent.conformance.contract import Configuration, Contract, Next
from sysevent.conformance.machine import Action, Answer, Mode, Phase
from sysevent.conformance.rules import Rule
from sysevent.conformance.x86_64_apic import accepted, signal_msi
from sysevent.conformance.x86_64_choices import choices, messages, starts
from sysevent.conformance.x86_64_events import (
    deliver_nmi,
    inject_triple_fault,
    interrupted,
    machine_check,
    requested,
    send_nmi,
    woken,
)
from sysevent.conformance.x86_64_msrs import (
    APIC,
    BARE,
    BLOCKING,
    FULL,
    NO_BITS,
    STARTS,
    WRMSR,
    Machine,
    Vcpu,
    guest,
    host_get,
    host_set,
)
from sysevent.conformance.x86_64_steps import kick, steps
from sysevent.model import Facts
from sysevent.scenario.steps import Step
from sysevent.scenario.x86_64 import (
    BARE_CPUID,
    KICK,
    hyperv_cpuid,
    registers,
    vm_with_vcpus,
)
from sysevent.scenario.x86_64_machine import IRQCHIPS, START_PAGE

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
    other_calls: ClassVar = {"kick_cpu": (1,)}
    configurations = (
        Configuration(1),
        Configuration(2),
        Configuration(1, BARE),
        Configuration(1, NO_BITS),
        Configuration(2, APIC),
        Configuration(3),
        Configuration(4, APIC),
        Configuration(1, APIC),
        Configuration(1, FULL),
        Configuration(2, FULL),
        Configuration(2, STARTS),
        Configuration(3, STARTS),
    )

    def __init__(self, facts: Facts) -> None:
        """facts: what the kernel says of itself."""
        self._machine_checks = facts.capabilities.get(Capability.MCE.on_system, 0) > 0

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
        first = Machine(vcpus=(Vcpu(mp_state=MpState.RUNNABLE),), variant=made.variant)
        waits = MpState.UNINITIALIZED if first.has_apics else MpState.RUNNABLE
        others = (Vcpu(mp_state=waits),) * (made.vcpus - 1)
        return msgspec.structs.replace(first, vcpus=(*first.vcpus, *others))

    def setup(self, made: Configuration) -> tuple[Step, ...]:
        leaves = {BARE: BARE_CPUID, NO_BITS: hyperv_cpuid(reset=False, crash=False)}
        chips = {APIC: "split", FULL: "full", STARTS: "full"}
        return (
            *vm_with_vcpus(
                "wrmsr",
                cpuid=leaves.get(made.variant, hyperv_cpuid()),
                vcpus=made.vcpus,
                before_vcpus=IRQCHIPS[chips.get(made.variant, "")],
            ),
            *(START_PAGE if made.variant == STARTS else ()),
        )

    def choices(self, machine: Machine, vcpu: int) -> tuple[tuple[Action, ...], ...]:
        one = machine.vcpus[vcpu]
        blocked = one.mp_state in BLOCKING
        # One that sleeps can be woken, and executes then; UNINITIALIZED and INIT_RECEIVED, it does not, or where a SIPI
        # starts it.
        waits = one.mp_state in (MpState.UNINITIALIZED, MpState.INIT_RECEIVED)
        begun = one.general is not None or one.started or waits
        if machine.variant == STARTS:
            return starts(vcpu, blocked, begun)
        peers = len(machine.vcpus) if machine.has_apics else 0
        return choices(vcpu, peers, blocked, begun, self._machine_checks)

    def during_run(self, machine: Machine, vcpu: int) -> tuple[Action, ...]:
        return messages(vcpu) if machine.variant == STARTS else ()

    def lacking(self) -> tuple[Rule, ...]:
        return () if self._machine_checks else (rule.MCE, rule.MCE_IGNORED, rule.MCE_REFUSED)

    def steps(self, action: Action, label: str) -> tuple[Step, ...]:
        return steps(action, label)

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
                yield _get_state(m, n)
            case "msi":
                yield from signal_msi(m, n, values[0])
            case "set_state" if values[0] == MpState.RUNNABLE or (values[0] in BLOCKING and m.has_apics):
                yield from _set_state(m, n, values[0])
            case "set_state":
                yield m, rule.SET_STATE_REFUSED, invalid
            case "set_msr":
                yield host_set(m, n, *values)
            case "get_msr":
                yield m, rule.HOST_GET, Answer(value=host_get(m, values[0]), ret=1)
            case "triple_fault":
                yield from inject_triple_fault(m, n, values[0])
            case "nmi":
                yield from send_nmi(m, n)
            case "set_up_mce":
                yield m.put(n, machine_checks=True), rule.SET_UP_MCE, Answer()
            case "mce":
                yield from machine_check(m, n, values[0])
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
        kicks = action.kind == "kick_cpu"
        set_ = kick(action.values[0]) if kicks else registers(*action.values)
        general = (*set_, *(0,) * (_GENERAL - len(set_)))
        rip = KICK if kicks else WRMSR
        called: Machine = machine.put(action.vcpu, general=general, rip=rip, started=False)
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
            return
        for awake, why in woken(m, n) if vcpu.mp_state in BLOCKING else ():
            yield awake.interrupted(n, why), why
            return
        why = rule.BLOCKS if vcpu.mp_state in BLOCKING else rule.SIGNALLED
        m, why = accepted(m, n) or (m, why)
        yield interrupted(m, n, why), why

    @staticmethod
    def _enter_uninitialized(m: Machine, n: int, mode: int) -> Next:
        """Return the machine after KVM_RUN of a vCPU that another one has to start: nothing is completed before."""
        page = m.vcpus[n].page
        if mode & Mode.IMMEDIATE:
            return m.done(n, rule.IMMEDIATE, page, Errno.EINTR), rule.IMMEDIATE
        if mode & Mode.SIGNALLED:
            m, why = accepted(m, n) or (m, rule.BLOCKS)
            return m.interrupted(n, why), why
        return m.put(n, phase=Phase.LOOP), rule.BLOCKS

    def advance(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        one = machine.vcpus[vcpu]
        if one.phase is not Phase.LOOP:
            return
        if one.mp_state in BLOCKING:
            for awake, why in woken(machine, vcpu):
                if one.mp_state == MpState.UNINITIALIZED:
                    looked = accepted(machine, vcpu)
                    awake = (looked[0] if looked else machine).done(vcpu, why, one.page, Errno.EAGAIN)
                yield awake, why
            return
        found = requested(machine, vcpu) or accepted(machine, vcpu)
        if found:
            yield found
            return
        delivered = tuple(deliver_nmi(machine, vcpu))
        if not delivered and (one.general is not None or one.started):
            delivered = tuple(guest(machine, vcpu))
        yield from delivered

    def kick(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        one = machine.vcpus[vcpu]
        if one.phase is not Phase.LOOP or requested(machine, vcpu):
            return
        why = rule.BLOCKS if one.mp_state in BLOCKING else rule.SIGNALLED
        yield interrupted(machine, vcpu, why), why
        if looked := accepted(machine, vcpu):
            yield interrupted(looked[0], vcpu, looked[1]), looked[1]

    def registers(self, machine: Machine, vcpu: int) -> Sequence[int | None]:
        one = machine.vcpus[vcpu]
        if one.general is None:
            return (None,) * (_GENERAL + 5)
        return (*one.general, one.rip, _RFLAGS, 0, _CODE_SELECTOR, _CR0)


def _get_state(m: Machine, n: int) -> tuple[Machine, Rule, Answer]:
    """Return what KVM_GET_MP_STATE gives: a vCPU that sleeps and was kicked would not sleep."""
    m, why = accepted(m, n) or (m, rule.GET_STATE)
    vcpu = m.vcpus[n]
    if vcpu.kicked and vcpu.mp_state in (MpState.HALTED, MpState.AP_RESET_HOLD):
        return m, rule.KICKED, Answer(value=MpState.RUNNABLE)
    return m, why, Answer(value=vcpu.mp_state)


def _set_state(m: Machine, n: int, value: int) -> Iterator[tuple[Machine, Rule, Answer]]:
    """Yield the machine after KVM_SET_MP_STATE. A CPU that keeps counted NMIs itself (vNMI) is not woken by them."""
    m = m.put(n, mp_state=value)
    vcpu = m.vcpus[n]
    yield m, rule.SET_STATE, Answer()
    if vcpu.nmis and not vcpu.nmi_requested and not vcpu.nmi_masked:
        yield m.put(n, nmis=vcpu.nmis - 1, nmi_injected=True, nmi_masked=True), rule.SET_STATE, Answer()
