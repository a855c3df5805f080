"""What an arm64 guest executes, up to the next trap: the payload "call" by its instructions."""

from __future__ import annotations

from collections.abc import Iterator

from sysevent.abi import psci
from sysevent.abi.events import EventType
from sysevent.abi.mp_state import MpState
from sysevent.conformance import arm64_rules as rule
from sysevent.conformance.arm64_machine import Machine, Vcpu
from sysevent.conformance.arm64_psci import handle
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Phase
from sysevent.conformance.rules import Rule
from sysevent.scenario.arm64 import RAM, RETURNED_MMIO, WFI

# HVC; MOVZ of x16; the store of x0; the branch to the HVC. Behind them the same with SMC, and further on with WFI.
CALL, _RETURNED, _STORE, _BRANCH = (RAM + 4 * number for number in range(4))
SMC, SMC_RETURNED, _SMC_STORE, _SMC_BRANCH = (RAM + 4 * number for number in range(4, 8))
WFI_PASSED, _WFI_STORE, _WFI_BRANCH = (WFI + 4 * number for number in range(1, 4))
_RETURNS = (_RETURNED, SMC_RETURNED, WFI_PASSED)
_STORES = (_STORE, _SMC_STORE, _WFI_STORE)
PAYLOAD_REGISTERS = 16


def advanced(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after the next step of a vCPU in KVM_RUN; nothing if it can take none."""
    one = m.vcpus[n]
    match one.phase:
        case Phase.LOOP if one.mp_state != MpState.STOPPED:
            yield from _loop(m, n)
        case Phase.TRAPPED:
            yield from handle(m, n, smc=one.pc == SMC_RETURNED)
        case Phase.WAITING if one.mp_state != MpState.STOPPED and m.wakes(n):
            yield awake(m, n), rule.GIC_WAKES if m.gic else slept_by(one)


def slept_by(vcpu: Vcpu) -> Rule:
    """Return the rule of what a vCPU sleeps in, which is WAITING."""
    return rule.WFI if vcpu.pc == WFI_PASSED else rule.CPU_SUSPEND


def awake(m: Machine, n: int) -> Machine:
    """Return the machine after a vCPU that sleeps, which is WAITING, has been woken."""
    vcpu = m.vcpus[n]
    assert vcpu.x is not None
    x = vcpu.x if vcpu.pc == WFI_PASSED else (psci.SUCCESS, 0, 0, 0, *vcpu.x[4:])
    woken: Machine = m.put(n, phase=Phase.LOOP, x=x)
    return woken


def _loop(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after a vCPU that may run has handled a request, or run its guest up to the next trap."""
    vcpu = m.vcpus[n]
    if vcpu.reset:
        yield reset(m, n)
    elif vcpu.mp_state == MpState.SUSPENDED:
        if m.wakes(n):
            yield m.done(n, rule.WAKEUP, vcpu.page.event(EventType.WAKEUP, ())), rule.WAKEUP
    elif vcpu.x is None:
        return
    elif vcpu.pc in (CALL, _BRANCH):
        yield m.put(n, phase=Phase.TRAPPED, pc=_RETURNED), rule.STORE
    elif vcpu.pc in (SMC, _SMC_BRANCH):
        yield m.put(n, phase=Phase.TRAPPED, pc=SMC_RETURNED), rule.SMC
    elif vcpu.pc in (WFI, _WFI_BRANCH):
        yield m.put(n, phase=Phase.WAITING, pc=WFI_PASSED), rule.WFI
    elif vcpu.pc in _RETURNS:
        x = (*vcpu.x[:PAYLOAD_REGISTERS], RETURNED_MMIO, *vcpu.x[PAYLOAD_REGISTERS + 1 :])
        page = vcpu.page.store(RETURNED_MMIO, x[0])
        yield m.done(n, rule.STORE, page, x=x, pc=vcpu.pc + 4, mmio=True), rule.STORE
    elif vcpu.pc in _STORES and not vcpu.x[PAYLOAD_REGISTERS]:
        # CPU_ON has begun it at _RETURNED, and the end of an earlier store has moved its PC on: the address is 0.
        yield m.done(n, rule.STORE, vcpu.page.store(0, vcpu.x[0]), mmio=True), rule.STORE
    else:
        yield m.put(n, x=None), rule.NOWHERE


def reset(m: Machine, n: int) -> Next:
    """Return the machine after the reset that CPU_ON has requested. Without an entry point the guest is lost."""
    on = m.vcpus[n].on
    if on is None:
        return m.put(n, reset=False, x=None, pc=0), rule.RESET_LEFT
    return m.put(n, reset=False, on=None, x=(on[1], *(0,) * 30), pc=on[0]), rule.RESET_AT_RUN
