"""The model of arm64: vCPUs that call PSCI, and a VMM that starts, stops, suspends and initializes them again.

Read from arch/arm64/kvm of Linux 6.12; what later kernels have besides is decided by what the kernel says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from sysevent.abi import psci
from sysevent.abi.arm64 import VCPU_POWER_OFF, VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.conformance import arm64_gic as gic
from sysevent.conformance import arm64_rules as rule
from sysevent.conformance.arm64_choices import VERSIONS, choices, filters, gic_writes, inputs
from sysevent.conformance.arm64_guest import (
    CALL,
    PAYLOAD_REGISTERS,
    SMC,
    advanced,
    awake,
    reset,
    slept_by,
)
from sysevent.conformance.arm64_machine import Machine, Vcpu
from sysevent.conformance.arm64_psci import set_filter
from sysevent.conformance.arm64_steps import steps
from sysevent.conformance.contract import Configuration, Contract, Next
from sysevent.conformance.machine import Action, Answer, Mode, Phase
from sysevent.conformance.rules import Rule
from sysevent.model import Facts
from sysevent.scenario.arm64 import WFI, registers, vm_with_vcpus
from sysevent.scenario.gic import GICS, PMR, accept_interrupts, uninitialized
from sysevent.scenario.steps import Step

# PSTATE of a vCPU that was reset: D, A, I, F, EL1h (arch/arm64/kvm/reset.c, VCPU_RESET_PSTATE_EL1).
_PSTATE = 0x3C5
# Variants: a vCPU that begins as STOPPED, one without the feature PSCI_0_2, a GIC in the kernel, one that lets the PPI
# of each vCPU through, one that is not initialized yet.
_OFF, _OLD, _GIC, _ACCEPTS, _LATE = "off", "psci_0_1", "gic", "gic accepts", "gic late"
# Where the kinds of calls begin.
_BEGIN = {"call": CALL, "smc": SMC, "wfi": WFI}
_KEPT = {int(MpState.STOPPED): rule.STOPPED, int(MpState.SUSPENDED): rule.SLEEPS}


class Arm64(Contract):
    """arm64's KVM, of a kernel with these facts. The kernel must have KVM_CAP_ARM_SYSTEM_SUSPEND."""

    arch = "arm64"
    rules = rule.RULES
    values_of_call = range(1, PAYLOAD_REGISTERS + 1)
    other_calls: ClassVar = {"smc": values_of_call, "wfi": values_of_call}

    def __init__(self, facts: Facts) -> None:
        """facts: what the kernel says of itself; its latest PSCI version decides what guests have."""
        self._latest = facts.features["psci.default"]
        self._smc, self._filter = (one in facts.features for one in ("smc.version", "smccc.filter"))
        self._irqchip = next((one for one in GICS if one in facts.features), "")
        made = ((1, ""), (2, ""), (2, _OFF), (3, ""), (4, _OFF), (2, _OLD))
        with_gic = ((1, _GIC), (2, _ACCEPTS), (2, _GIC), (4, _ACCEPTS), (2, _LATE)) if self._irqchip else ()
        self.configurations = tuple(Configuration(*one) for one in (*made, *with_gic))

    @staticmethod
    def fits(facts: Facts) -> str:
        """Return why the model does not describe a kernel; "" if it does."""
        needed = (Capability.SYSTEM_EVENT_DATA, Capability.ARM_SYSTEM_SUSPEND)
        if (
            any(facts.capabilities.get(one.on_vm, 0) <= 0 for one in needed)
            or "psci.default" not in facts.features
        ):
            return "the model of arm64 begins with KVM_CAP_ARM_SYSTEM_SUSPEND (216), v5.19"
        return ""

    def machine(self, made: Configuration) -> Machine:
        old, accepts = made.variant == _OLD, made.variant == _ACCEPTS
        others = MpState.STOPPED if made.variant in (_OFF, _OLD) else MpState.RUNNABLE
        has_gic = made.variant in (_GIC, _ACCEPTS, _LATE)
        vcpus = tuple(
            Vcpu(
                mp_state=others if n else MpState.RUNNABLE,
                interrupts=gic.begun(n, accepts=accepts) if has_gic else (),
                mask=PMR * accepts,
            )
            for n in range(made.vcpus)
        )
        version = psci.version(0, 1) if old else self._latest
        return Machine(
            vcpus=vcpus,
            latest=self._latest,
            version=version,
            psci=not old,
            gic=has_gic,
            ready=made.variant != _LATE,
            lazy=self._irqchip == "gicv2",
            distributor=accepts,
        )

    def setup(self, made: Configuration) -> tuple[Step, ...]:
        accepts = range(made.vcpus) if made.variant == _ACCEPTS else ()
        return (
            *vm_with_vcpus(
                features=0 if made.variant == _OLD else VCPU_PSCI_0_2,
                vcpus=made.vcpus,
                off=range(1, made.vcpus) if made.variant in (_OFF, _OLD) else (),
                irqchip=self._irqchip if made.variant in (_GIC, _ACCEPTS) else "",
            ),
            *(uninitialized(self._irqchip) if made.variant == _LATE else ()),
            *(step for vcpu in accepts for step in accept_interrupts(self._irqchip, vcpu)),
        )

    def choices(self, machine: Machine, vcpu: int) -> tuple[tuple[Action, ...], ...]:
        one = machine.vcpus[vcpu]
        kept = one.mp_state != MpState.RUNNABLE or one.reset
        groups = choices(
            vcpu,
            len(machine.vcpus),
            machine.psci,
            one.mmio,
            one.x is not None,
            kept,
            self._smc and not one.mmio,
            machine.gic,
        )
        begun = any(each.ran for each in machine.vcpus)
        # While another vCPU enters KVM_RUN, both answers are possible.
        free = all(each.phase is Phase.OUT for each in machine.vcpus)
        groups = (
            *groups,
            *(gic_writes(vcpu, free) if machine.gic else ()),
            *(filters(machine.psci, begun) if free and self._filter else ()),
        )
        if machine.ready:
            return groups
        return (*((Action("gic_init"),),) * 3, *(group for group in groups if not group[0].enters))

    def can_enter(self, machine: Machine) -> bool:
        return machine.ready

    def during_run(self, machine: Machine, vcpu: int) -> tuple[Action, ...]:
        return inputs(vcpu, machine.gic)

    def lacking(self) -> tuple[Rule, ...]:
        return (
            *(() if self._latest >= psci.version(1, 3) else (rule.OFF2, rule.OFF2_INVALID)),
            *(() if self._smc else (rule.SMC,)),
            *(() if self._filter else (rule.FILTER, rule.FILTER_REFUSED, rule.DENIED, rule.FORWARDED)),
            *(() if self._irqchip else rule.GIC_RULES),
            *((rule.GIC_NOT_READY,) if self._irqchip == "gicv2" else ()),
        )

    def steps(self, action: Action, label: str) -> tuple[Step, ...]:
        return steps(action, label, self._irqchip)

    def ask(  # noqa: C901 - an arm an ioctl
        self, machine: Machine, action: Action
    ) -> Iterator[tuple[Machine, Rule, Answer]]:
        n, invalid = action.vcpu, Answer(Errno.EINVAL)
        m = self.read(machine, n) if action.kind in ("get_version", "set_version") else machine
        value = action.values[0] if action.values else 0
        match action.kind:
            case "get_state":
                yield m, rule.GET_STATE, Answer(value=m.vcpus[n].mp_state)
            case "set_state" if value in (MpState.RUNNABLE, MpState.STOPPED, MpState.SUSPENDED):
                yield m.put(n, mp_state=value), rule.SET_STATE, Answer()
            case "set_state":
                yield m, rule.SET_STATE_REFUSED, invalid
            case "line" if m.gic:
                yield m, rule.LINE_REFUSED, Answer(Errno.ENXIO)
            case "line" if n < len(m.vcpus):
                yield m.put(n, line=bool(value)), rule.LINE, Answer()
            case "line":
                yield m, rule.LINE, invalid
            case "ppi" | "spi":
                yield from gic.set_line(m, action)
            case "gic_init":
                yield from gic.initialize(m)
            case kind if kind in gic.WRITES:
                yield from gic.write(m, action)
            case "init" if bool(value & VCPU_PSCI_0_2) is not m.psci:
                yield m, rule.INIT_CHANGED, invalid
            case "init":
                yield from _initialized(m, n, off=bool(value & VCPU_POWER_OFF))
            case "get_version":
                yield m, rule.GET_VERSION, Answer(value=m.version)
            case "set_version":
                old = value == psci.version(0, 1)
                takes = old is not m.psci and (old or value in VERSIONS[:5]) and value <= m.latest
                if takes:
                    yield msgspec.structs.replace(m, version=value), rule.SET_VERSION, Answer()
                else:
                    yield m, rule.SET_VERSION_REFUSED, invalid
            case "filter":
                yield from set_filter(m, *action.values)
            case "enable" if value:
                yield m, rule.ENABLE, invalid
            case "enable":
                yield msgspec.structs.replace(m, suspend=True), rule.ENABLE, Answer()

    def set_up_call(self, machine: Machine, action: Action) -> Machine:
        machine = self.read(machine, action.vcpu)
        vcpu = machine.vcpus[action.vcpu]
        if action.kind == "next":
            if vcpu.x is None:
                return machine
            changed: Machine = machine.put(action.vcpu, x=(*action.values, *vcpu.x[len(action.values) :]))
            return changed
        set_ = registers(*action.values)
        rest = vcpu.x[len(set_) :] if vcpu.x is not None else (0,) * (31 - len(set_))
        called: Machine = machine.put(action.vcpu, x=(*set_, *rest), pc=_BEGIN[action.kind])
        return called

    def enter(self, machine: Machine, action: Action) -> Iterator[Next]:
        n, mode = action.vcpu, action.mode
        vcpu = machine.vcpus[n]
        page = vcpu.page.entered(keep=bool(mode & Mode.KEEP))
        m, entered = machine.put(n, page=page, ran=True), None
        if page.reason == ExitReason.MMIO and vcpu.mmio:
            m, entered = m.put(n, mmio=False, pc=vcpu.pc + 4), rule.COMPLETED
        if mode & Mode.IMMEDIATE:
            yield m.done(n, rule.IMMEDIATE, page, Errno.EINTR), rule.IMMEDIATE
            return
        page = msgspec.structs.replace(page, reason=ExitReason.UNKNOWN, flags=0)
        m = m.put(n, page=page, phase=Phase.LOOP)
        if mode & Mode.SIGNALLED:
            yield gic.left_loop(m, n).interrupted(n, rule.SIGNALLED), rule.SIGNALLED
        else:
            yield m, entered or rule.SIGNALLED

    def advance(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        for after, reason in advanced(machine, vcpu):
            left = after.vcpus[vcpu].phase is Phase.DONE
            yield (gic.left_loop(after, vcpu) if left else after), reason

    def spins(self, machine: Machine, vcpu: int) -> bool:
        return _kept_by(machine.vcpus[vcpu]) is rule.NOWHERE

    def kick(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        one = machine.vcpus[vcpu]
        left = gic.left_loop(machine, vcpu)
        if one.phase is Phase.WAITING:
            reason = gic.why_asleep(machine, vcpu) or slept_by(one)
            reason = rule.CPU_SUSPEND_STOPPED if one.mp_state == MpState.STOPPED else reason
            yield awake(left, vcpu).interrupted(vcpu, reason), reason
        elif one.phase is Phase.LOOP:
            reason = _kept_by(one)
            if reason is rule.SLEEPS:
                reason = gic.why_asleep(machine, vcpu) or reason
            if one.reset:
                left, reason = reset(left, vcpu)
            yield left.interrupted(vcpu, reason), reason

    def read(self, machine: Machine, vcpu: int) -> Machine:
        return reset(machine, vcpu)[0] if machine.vcpus[vcpu].reset else machine

    def registers(self, machine: Machine, vcpu: int) -> tuple[int | None, ...]:
        one = machine.vcpus[vcpu]
        if one.x is None:
            return (None,) * 34
        return (*one.x, 0, one.pc, _PSTATE)


def _kept_by(vcpu: Vcpu) -> Rule:
    """Return the rule by which a vCPU in LOOP does not go on, or by which a signal may come before it does."""
    if vcpu.mp_state in _KEPT:
        return _KEPT[vcpu.mp_state]
    return rule.NOWHERE if vcpu.x is None else rule.SIGNALLED


def _initialized(m: Machine, n: int, *, off: bool) -> Iterator[tuple[Machine, Rule, Answer]]:
    """Yield the machine after KVM_ARM_VCPU_INIT. Whether the interrupt line stays depends on the release."""
    vcpu = m.vcpus[n]
    entry, context = vcpu.on or (0, 0)
    state = MpState.STOPPED if off else MpState.RUNNABLE
    m = m.put(n, x=(context, *(0,) * 30), pc=entry, on=None, mp_state=state)
    reason = rule.INIT_ON if vcpu.on else rule.GIC_INIT if m.gic else rule.INIT
    yield m.put(n, line=False), reason, Answer()
    if vcpu.line and vcpu.ran:
        yield m, reason, Answer()
