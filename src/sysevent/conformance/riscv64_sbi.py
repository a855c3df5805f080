"""SBI calls of riscv64 guests, as KVM handles them: from the machine at the call to the machine behind it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from sysevent.abi import kvm_run, sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.number import as_register
from sysevent.conformance import riscv64_rules as rule
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Phase
from sysevent.conformance.riscv64_machine import Machine, Vcpu
from sysevent.conformance.rules import Rule
from sysevent.scenario.riscv64 import RAM
from sysevent.scenario.steps import RAM_SIZE

_LOW = (1 << 32) - 1
_FAILED, _SUSPENDED = as_register(-1), 4


def returned(m: Machine, n: int, rule_: Rule, error: int = 0, value: int = 0) -> Next:
    """Return the machine after a call came back with an error in a0 and a value in a1."""
    hart = m.vcpus[n]
    return m.put(n, x=hart.with_a(0, error, value), pc=hart.pc + 4, phase=Phase.LOOP), rule_


def _final(m: Machine, n: int, rule_: Rule, kind: int, reason: int) -> Next:
    """Return the machine after an event that stops every hart."""
    stopped = msgspec.structs.replace(
        m, vcpus=tuple(msgspec.structs.replace(one, mp_state=MpState.STOPPED) for one in m.vcpus)
    )
    return stopped.done(n, rule_, m.vcpus[n].page.event(kind, (reason,))), rule_


def handle(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after KVM has handled the call of a hart."""
    hart = m.vcpus[n]
    extension, function = hart.a(7), hart.a(6)
    if extension == sbi.SRST and hart.srst:
        yield _srst(m, n, function)
    elif extension == sbi.SUSP and hart.susp:
        yield _susp(m, n, function)
    elif extension == sbi.HSM:
        yield from _hsm(m, n, function)
    elif extension == sbi.BASE and function == sbi.PROBE_EXTENSION:
        known = {sbi.BASE: True, sbi.HSM: True, sbi.SRST: hart.srst, sbi.SUSP: hart.susp}
        # All legacy calls, from 0 on, are one extension of KVM's: vcpu_sbi_ext_v01.
        is_legacy = hart.a(0) <= sbi.LEGACY_SHUTDOWN
        yield returned(m, n, rule.PROBE, value=int(m.legacy if is_legacy else known.get(hart.a(0), False)))
    elif extension == sbi.LEGACY_SHUTDOWN and m.legacy:
        yield _final(m, n, rule.LEGACY, EventType.SHUTDOWN, 0)
    else:
        yield returned(m, n, rule.UNKNOWN, sbi.NOT_SUPPORTED)


def _srst(m: Machine, n: int, function: int) -> Next:
    kind, reason = m.vcpus[n].a(0) & _LOW, m.vcpus[n].a(1) & _LOW
    if function or kind > sbi.WARM_REBOOT:
        return returned(m, n, rule.SRST_REFUSED, sbi.NOT_SUPPORTED)
    if kind == sbi.SHUTDOWN:
        return _final(m, n, rule.SHUTDOWN, EventType.SHUTDOWN, reason)
    return _final(m, n, rule.REBOOT, EventType.RESET, reason)


def _susp(m: Machine, n: int, function: int) -> Next:
    hart = m.vcpus[n]
    others = (one for number, one in enumerate(m.vcpus) if number != n)
    if function:
        return returned(m, n, rule.SUSP_REFUSED, sbi.NOT_SUPPORTED)
    if hart.a(0) & _LOW:
        return returned(m, n, rule.SUSP_REFUSED, sbi.INVALID_PARAM)
    if not RAM <= hart.a(1) < RAM + RAM_SIZE:
        return returned(m, n, rule.SUSP_REFUSED, sbi.INVALID_ADDRESS)
    if any(one.mp_state != MpState.STOPPED for one in others):
        return returned(m, n, rule.SUSP_REFUSED, sbi.DENIED)
    # struct kvm_run.riscv_sbi: extension, function, six arguments, two results.
    arguments = (hart.a(number) for number in range(6))
    written = struct.pack("<10Q", sbi.SUSP, function, *arguments, sbi.NOT_SUPPORTED, 0)
    page = hart.page.exit(ExitReason.RISCV_SBI).write(kvm_run.UNION[0], written)
    return m.done(n, rule.SUSP, page, start=(hart.a(1), hart.a(2)), forwarded=True), rule.SUSP


def _hsm(m: Machine, n: int, function: int) -> Iterator[Next]:
    hart = m.vcpus[n]
    target = hart.a(0)
    other = m.vcpus[target] if target < len(m.vcpus) else None
    match function:
        case sbi.HART_START if other is None:
            yield returned(m, n, rule.HART_START_REFUSED, sbi.INVALID_PARAM)
        case sbi.HART_START if other is not None and other.mp_state != MpState.STOPPED:
            yield returned(m, n, rule.HART_START_REFUSED, sbi.ALREADY_AVAILABLE)
        case sbi.HART_START:
            started = m.put(target, mp_state=MpState.RUNNABLE, start=(hart.a(1), hart.a(2)))
            yield returned(started, n, rule.HART_START)
        case sbi.HART_STOP if hart.mp_state == MpState.STOPPED:
            yield returned(m, n, rule.HART_STOP, _FAILED)
        case sbi.HART_STOP:
            yield returned(m.put(n, mp_state=MpState.STOPPED), n, rule.HART_STOP)
        case sbi.HART_STATUS:
            yield from _status(m, n, other)
        case sbi.HART_SUSPEND if target & _LOW == sbi.RETENTIVE:
            yield m.put(n, phase=Phase.WAITING), rule.HART_SUSPEND
        case sbi.HART_SUSPEND:
            reserved = target & _LOW != sbi.NON_RETENTIVE
            error = sbi.INVALID_PARAM if reserved else sbi.NOT_SUPPORTED
            yield returned(m, n, rule.HART_SUSPEND_REFUSED, error)
        case _:
            yield returned(m, n, rule.HSM_UNKNOWN, sbi.NOT_SUPPORTED)


def _status(m: Machine, n: int, other: Vcpu | None) -> Iterator[Next]:
    if other is None:
        yield returned(m, n, rule.HART_STATUS, sbi.INVALID_PARAM)
    elif other.mp_state == MpState.STOPPED:
        yield returned(m, n, rule.HART_STATUS, value=sbi.HART_STOPPED)
    else:
        yield returned(m, n, rule.HART_STATUS, value=sbi.HART_STARTED)
        if other.phase is Phase.WAITING:
            yield returned(m, n, rule.HART_STATUS, value=_SUSPENDED)
