"""The model of riscv64: harts that call SBI, and a VMM that starts and stops them and turns SBI extensions off.

Read from arch/riscv/kvm of Linux 6.12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import ClassVar

from sysevent.abi import sbi
from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.conformance import riscv64_aia as controller
from sysevent.conformance import riscv64_rules as rule
from sysevent.conformance.contract import Configuration, Contract, Next
from sysevent.conformance.machine import Action, Answer, Mode, Page, Phase
from sysevent.conformance.riscv64_choices import SET, choices, interrupts
from sysevent.conformance.riscv64_machine import Aplic, Imsic, Machine, Vcpu
from sysevent.conformance.riscv64_sbi import handle
from sysevent.conformance.riscv64_steps import set_sie, steps
from sysevent.conformance.rules import Rule
from sysevent.model import Facts
from sysevent.scenario import aia
from sysevent.scenario.riscv64 import RAM, RETURNED_MMIO, STARTED_AT, WFI, vm_with_vcpus
from sysevent.scenario.steps import Step

# The payload "call" by its instructions: the call, what follows it up to the store, the jump back. From STARTED_AT on:
# up to the store of a1; behind it, up to the second call; the jump to what follows the first one.
_CALL, _RETURNED, _STORE, _JUMP = (RAM + 4 * number for number in range(4))
_STARTED_STORE, _STARTED_BEHIND = STARTED_AT + 4, STARTED_AT + 8
_STARTED_CALL, _STARTED_JUMP = STARTED_AT + 0x14, STARTED_AT + 0x18
# Behind the WFI; its store; the jump back.
_WFI_PASSED, _WFI_STORE, _WFI_JUMP = (WFI + 4 * number for number in range(1, 4))
# t0, among x1 to x31, and the mode of a guest's kernel (KVM_RISCV_MODE_S).
_T0, _SUPERVISOR = 4, 1
# Variants: external interrupts wake (sie); an AIA in the kernel; both, and it lets an interrupt of each hart through.
_WAKES, _AIA, _ACCEPTS = "interrupts", "aia", "aia accepts"


class Riscv64(Contract):
    """riscv64's KVM, of a kernel with these facts. The kernel must have registers that turn SBI extensions off."""

    arch = "riscv64"
    rules = rule.RULES
    values_of_call = (8,)
    other_calls: ClassVar = {"wfi": values_of_call}

    def __init__(self, facts: Facts) -> None:
        """facts: what the kernel says of itself."""
        self._legacy = facts.features.get("sbi.probe.legacy_shutdown") == 0
        self._susp, self._aia = (one in facts.features for one in ("sbi.enable.susp", aia.AIA))
        made = ((1, ""), (2, ""), (1, _WAKES), (2, _WAKES), (3, ""), (4, _WAKES))
        with_aia = ((1, _AIA), (2, _ACCEPTS), (4, _ACCEPTS)) if self._aia else ()
        self.configurations = tuple(Configuration(*one) for one in (*made, *with_aia))

    @staticmethod
    def fits(facts: Facts) -> str:
        """Return why the model does not describe a kernel; "" if it does."""
        has_data = facts.capabilities.get(Capability.SYSTEM_EVENT_DATA.on_vm, 0) > 0
        if not has_data or "sbi.enable.srst" not in facts.features:
            return "the model of riscv64 begins with the registers of SBI extensions, v6.4"
        return ""

    def lacking(self) -> tuple[Rule, ...]:
        suspends = () if self._susp else (rule.SUSP, rule.SUSP_REFUSED, rule.SUSP_COMPLETED, rule.ENABLE_SUSP)
        return (
            *(() if self._legacy else (rule.LEGACY,)),
            *suspends,
            *(() if self._aia else rule.AIA_RULES),
        )

    def machine(self, made: Configuration) -> Machine:
        accepts, has_aia = made.variant == _ACCEPTS, made.variant in (_AIA, _ACCEPTS)
        harts = (
            Vcpu(
                mp_state=MpState.STOPPED if n else MpState.RUNNABLE,
                enabled=made.variant in (_WAKES, _ACCEPTS),
                imsic=controller.begun(accepts=accepts) if has_aia else None,
            )
            for n in range(made.vcpus)
        )
        aplic = controller.sending() if accepts else Aplic() if has_aia else None
        return Machine(vcpus=tuple(harts), legacy=self._legacy, aplic=aplic)

    def setup(self, made: Configuration) -> tuple[Step, ...]:
        harts = range(made.vcpus)
        enabled = harts if made.variant in (_WAKES, _ACCEPTS) else ()
        accepting = harts if made.variant == _ACCEPTS else ()
        return (
            *vm_with_vcpus(vcpus=made.vcpus, irqchip=aia.AIA if made.variant in (_AIA, _ACCEPTS) else ""),
            *(set_sie(n, 1) for n in enabled),
            *(step for n in accepting for step in aia.accept_interrupts(n)),
            *(aia.send_interrupts() if accepting else ()),
        )

    def choices(self, machine: Machine, vcpu: int) -> tuple[tuple[Action, ...], ...]:
        one = machine.vcpus[vcpu]
        kept = one.mp_state != MpState.RUNNABLE or one.start is not None
        peers, begun = len(machine.vcpus), one.pc != 0
        return choices(
            vcpu, peers, one.mmio, kept, one.ran, begun, self._susp, one.susp, one.imsic is not None
        )

    def during_run(self, machine: Machine, vcpu: int) -> tuple[Action, ...]:
        groups = interrupts(vcpu, len(machine.vcpus), machine.aplic is not None)
        return tuple(action for group in groups for action in group)

    def steps(self, action: Action, label: str) -> tuple[Step, ...]:
        return steps(action, label)

    def ask(  # noqa: C901 - an arm an ioctl
        self, machine: Machine, action: Action
    ) -> Iterator[tuple[Machine, Rule, Answer]]:
        m, n = machine, action.vcpu
        value = action.values[0] if action.values else 0
        match action.kind:
            case "get_state":
                yield m, rule.GET_STATE, Answer(value=m.vcpus[n].mp_state)
            case "set_state" if value in (MpState.RUNNABLE, MpState.STOPPED):
                yield m.put(n, mp_state=value), rule.SET_STATE, Answer()
            case "set_state":
                yield m, rule.SET_STATE_REFUSED, Answer(Errno.EINVAL)
            case "interrupt":
                yield m.put(n, line=value == SET), rule.INTERRUPT, Answer()
            case "sie":
                yield m.put(n, enabled=bool(value)), rule.SIE, Answer()
            case kind if kind in controller.KINDS:
                yield from controller.ask(m, action)
            case "is_enabled":
                yield m, rule.IS_ENABLED, Answer(value=int(m.vcpus[n].srst))
            case "enable_susp":
                yield _with_susp(m, n, value)
            case "enable" if m.vcpus[n].ran:
                yield m, rule.ENABLE_LATE, Answer(Errno.EBUSY)
            case "enable" if value > 1:
                yield m, rule.ENABLE, Answer(Errno.EINVAL)
            case "enable":
                yield m.put(n, srst=bool(value)), rule.ENABLE, Answer()

    def set_up_call(self, machine: Machine, action: Action) -> Machine:
        hart = machine.vcpus[action.vcpu]
        x = hart.with_a(0, *action.values)
        pc = {"call": _CALL, "wfi": WFI}.get(action.kind, hart.pc)
        called: Machine = machine.put(action.vcpu, x=x, pc=pc)
        return called

    def enter(self, machine: Machine, action: Action) -> Iterator[Next]:
        n, mode = action.vcpu, action.mode
        hart = machine.vcpus[n]
        page = hart.page.entered(keep=bool(mode & Mode.KEEP))
        m = machine.put(n, page=page, ran=True)
        reason = rule.SIGNALLED
        if page.reason == ExitReason.MMIO and hart.mmio:
            m, reason = m.put(n, mmio=False, pc=hart.pc + 4), rule.COMPLETED
        elif page.reason == ExitReason.RISCV_SBI and hart.forwarded:
            m, reason = _forwarded(m, n, page), rule.SUSP_COMPLETED
        if mode & Mode.IMMEDIATE:
            yield m.done(n, rule.IMMEDIATE, page, Errno.EINTR), rule.IMMEDIATE
            return
        m = m.put(n, page=page.exit(ExitReason.UNKNOWN), phase=Phase.LOOP)
        yield (m.interrupted(n, rule.SIGNALLED), rule.SIGNALLED) if mode & Mode.SIGNALLED else (m, reason)

    def advance(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        hart = machine.vcpus[vcpu]
        match hart.phase:
            case Phase.LOOP if hart.mp_state != MpState.STOPPED:
                yield _reset(machine, vcpu) if hart.start else _guest(machine, vcpu)
            case Phase.TRAPPED:
                yield from handle(machine, vcpu)
            case Phase.WAITING if hart.line and hart.enabled and hart.mp_state != MpState.STOPPED:
                yield _awake(machine, vcpu), rule.AIA_WAKES if hart.imsic else _slept_by(hart)

    def kick(self, machine: Machine, vcpu: int) -> Iterator[Next]:
        hart = machine.vcpus[vcpu]
        stopped = hart.mp_state == MpState.STOPPED
        if hart.phase is Phase.WAITING:
            ignored = hart.imsic is not None and hart.imsic.pending
            reason = rule.AIA_SLEEPS if ignored else _slept_by(hart)
            reason = rule.HART_SUSPEND_STOPPED if stopped else reason
            yield _awake(machine, vcpu).interrupted(vcpu, reason), reason
        elif hart.phase is Phase.LOOP:
            reason = rule.STOPPED if stopped else rule.SIGNALLED
            if hart.start:
                machine, reason = _reset(machine, vcpu)
            yield machine.interrupted(vcpu, reason), reason

    def registers(self, machine: Machine, vcpu: int) -> tuple[int | None, ...]:
        hart = machine.vcpus[vcpu]
        return (hart.pc, *hart.x, _SUPERVISOR)


def _slept_by(hart: Vcpu) -> Rule:
    """Return the rule of what a hart sleeps in, which is WAITING."""
    return rule.WFI if hart.pc == WFI else rule.HART_SUSPEND


def _awake(m: Machine, n: int) -> Machine:
    hart = m.vcpus[n]
    x = hart.x if hart.pc == WFI else hart.with_a(0, 0, 0)
    woken: Machine = m.put(n, phase=Phase.LOOP, x=x, pc=hart.pc + 4)
    return woken


def _reset(m: Machine, n: int) -> Next:
    """Return the machine after the reset that HART_START has requested."""
    hart = m.vcpus[n]
    assert hart.start is not None
    address, opaque = hart.start
    x = Vcpu().with_a(0, n, opaque)
    imsic, reason = (None, rule.RESET_AT_RUN) if hart.imsic is None else (Imsic(), rule.AIA_RESET)
    return m.put(n, x=x, pc=address, start=None, line=False, enabled=False, imsic=imsic), reason


def _guest(m: Machine, n: int) -> Next:
    """Return the machine after a hart has run its guest up to the next trap."""
    hart = m.vcpus[n]
    x = (*hart.x[:_T0], RETURNED_MMIO, *hart.x[_T0 + 1 :])
    if hart.pc in (_CALL, _JUMP, _STARTED_CALL):
        pc = _CALL if hart.pc == _JUMP else hart.pc
        return m.put(n, phase=Phase.TRAPPED, pc=pc), rule.STORE
    if hart.pc == _STARTED_BEHIND:
        called = hart.with_a(6, 0, sbi.SRST)
        return m.put(n, phase=Phase.TRAPPED, pc=_STARTED_CALL, x=called), rule.STORE
    if hart.pc in (WFI, _WFI_JUMP):
        return m.put(n, phase=Phase.WAITING, pc=WFI), rule.WFI
    first = hart.pc == STARTED_AT
    page = hart.page.store(RETURNED_MMIO, hart.a(1 if first else 0))
    pc = {STARTED_AT: _STARTED_STORE, _WFI_PASSED: _WFI_STORE}.get(hart.pc, _STORE)
    return m.done(n, rule.STORE, page, x=x, pc=pc, mmio=True), rule.STORE


def _forwarded(m: Machine, n: int, page: Page) -> Machine:
    """Return the machine after the two results of riscv_sbi.ret in kvm_run have become those of the call."""
    hart = m.vcpus[n]
    values = struct.unpack_from("<QQ", page.union, sbi.FORWARDED_RESULTS)
    completed: Machine = m.put(n, forwarded=False, x=hart.with_a(0, *values), pc=hart.pc + 4)
    return completed


def _with_susp(m: Machine, n: int, value: int) -> tuple[Machine, Rule, Answer]:
    if m.vcpus[n].ran:
        return m, rule.ENABLE_SUSP, Answer(Errno.EBUSY)
    if value > 1:
        return m, rule.ENABLE_SUSP, Answer(Errno.EINVAL)
    return m.put(n, susp=bool(value)), rule.ENABLE_SUSP, Answer()
