"""PSCI calls of arm64 guests, as KVM handles them: from the machine at the call to the machine behind it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping

import msgspec

from sysevent.abi import kvm_run, psci
from sysevent.abi.arm64 import (
    HYPERCALL_EXIT_SMC,
    SMCCC_FILTER_DENY,
    SMCCC_FILTER_FWD_TO_USER,
    SMCCC_FILTER_HANDLE,
)
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.number import as_register
from sysevent.abi.psci import Function
from sysevent.conformance import arm64_rules as rule
from sysevent.conformance.arm64_machine import Machine
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Answer, Phase
from sysevent.conformance.rules import Rule

_LOW = (1 << 32) - 1
# MPIDR_HWID_BITMASK: the affinity fields of MPIDR_EL1. vCPU n has n in the lowest one.
_HWID = 0xFF_00FF_FFFF
_SMCCC_1_1 = 0x1_0001
# Calls of the Arm architecture, which no filter can have: SMC32_ARCH_RANGE_*, SMC64_ARCH_RANGE_* of hypercalls.c.
_RESERVED = ((0x8000_0000, 0x8000_FFFF), (0xC000_0000, 0xC000_FFFF))


def returned(m: Machine, n: int, rule_: Rule, *values: int) -> Next:
    """Return the machine after a call came back with these values, and zeros, in x0 to x3."""
    vcpu = m.vcpus[n]
    assert vcpu.x is not None
    x = (*values, *(0,) * (4 - len(values)), *vcpu.x[4:])
    return m.put(n, x=x, phase=Phase.LOOP), rule_


def _final(m: Machine, n: int, rule_: Rule, kind: int, flag: int, *, keep: bool = False) -> Next:
    """Return the machine after an event that stops every vCPU; keep: x1 to x3 stay."""
    vcpu = m.vcpus[n]
    assert vcpu.x is not None
    rest = vcpu.x[1:4] if keep else (0, 0, 0)
    stopped = msgspec.structs.replace(
        m, vcpus=tuple(msgspec.structs.replace(one, mp_state=MpState.STOPPED) for one in m.vcpus)
    )
    x = (psci.INTERNAL_FAILURE, *rest, *vcpu.x[4:])
    return stopped.done(n, rule_, vcpu.page.event(kind, (flag,)), x=x), rule_


def _narrowed(m: Machine, n: int, fid: int) -> Machine:
    """Return the machine after a 32-bit call lost the upper halves of its arguments."""
    vcpu = m.vcpus[n]
    assert vcpu.x is not None
    if fid >> 30 & 1:
        return m
    x = (vcpu.x[0], *(value & _LOW for value in vcpu.x[1:4]), *vcpu.x[4:])
    narrowed: Machine = m.put(n, x=x)
    return narrowed


def _argument(m: Machine, n: int, number: int) -> int:
    x = m.vcpus[n].x
    assert x is not None
    return x[number]


def _version(m: Machine, n: int, fid: int) -> Next:
    return returned(m, n, rule.VERSION, m.version)


def _off(m: Machine, n: int, fid: int) -> Next:
    return _final(m, n, rule.OFF, EventType.SHUTDOWN, 0)


def _reset(m: Machine, n: int, fid: int) -> Next:
    return _final(m, n, rule.RESET, EventType.RESET, 0)


def _reset2(m: Machine, n: int, fid: int) -> Next:
    m = _narrowed(m, n, fid)
    if 0 < _argument(m, n, 1) & _LOW < psci.RESET2_VENDOR_FIRST:
        return returned(m, n, rule.RESET2_INVALID, psci.INVALID_PARAMETERS)
    return _final(m, n, rule.RESET2, EventType.RESET, ResetFlag.PSCI_RESET2, keep=True)


def _off2(m: Machine, n: int, fid: int) -> Next:
    m = _narrowed(m, n, fid)
    if _argument(m, n, 1) & _LOW > 1 or _argument(m, n, 2):
        return returned(m, n, rule.OFF2_INVALID, psci.INVALID_PARAMETERS)
    return _final(m, n, rule.OFF2, EventType.SHUTDOWN, ShutdownFlag.PSCI_OFF2)


def _suspend(m: Machine, n: int, fid: int) -> Next:
    m = _narrowed(m, n, fid)
    if not m.suspend:
        return returned(m, n, rule.SUSPEND_OFF, psci.NOT_SUPPORTED)
    return m.done(n, rule.SUSPEND, m.vcpus[n].page.event(EventType.SUSPEND, ())), rule.SUSPEND


def _cpu_off(m: Machine, n: int, fid: int) -> Next:
    return returned(m.put(n, mp_state=MpState.STOPPED), n, rule.CPU_OFF)


def _cpu_on(m: Machine, n: int, fid: int) -> Next:
    m = _narrowed(m, n, fid) if m.psci else m
    target, entry, context = (_argument(m, n, number) for number in (1, 2, 3))
    if target >= len(m.vcpus):
        return returned(m, n, rule.CPU_ON_REFUSED, psci.INVALID_PARAMETERS)
    if m.vcpus[target].mp_state != MpState.STOPPED:
        refusal = psci.ALREADY_ON if m.psci else psci.INVALID_PARAMETERS
        return returned(m, n, rule.CPU_ON_REFUSED, refusal)
    m = m.put(target, mp_state=MpState.RUNNABLE, on=(entry, context), reset=True)
    return returned(m, n, rule.CPU_ON)


def _affinity(m: Machine, n: int, fid: int) -> Next:
    m = _narrowed(m, n, fid)
    target, level = _argument(m, n, 1), _argument(m, n, 2)
    if target & ~_HWID or level > 3:
        return returned(m, n, rule.AFFINITY, psci.INVALID_PARAMETERS)
    mask = _HWID & ~((1 << 8 * level) - 1)
    states = [vcpu.mp_state for number, vcpu in enumerate(m.vcpus) if number & mask == target & mask]
    if not states:
        return returned(m, n, rule.AFFINITY, psci.INVALID_PARAMETERS)
    stopped = all(state == MpState.STOPPED for state in states)
    return returned(m, n, rule.AFFINITY, psci.AFFINITY_OFF if stopped else psci.AFFINITY_ON)


def _cpu_suspend(m: Machine, n: int, fid: int) -> Next:
    return m.put(n, phase=Phase.WAITING), rule.CPU_SUSPEND


def _migrate_type(m: Machine, n: int, fid: int) -> Next:
    return returned(m, n, rule.MIGRATE_TYPE, psci.TOS_MP)


def _features(m: Machine, n: int, fid: int) -> Next:
    asked = _argument(m, n, 1) & _LOW
    if asked in (Function.SYSTEM_OFF2, Function.SYSTEM_OFF2_64) and _since(asked) <= m.version:
        # Bit 0: HIBERNATE_OFF.
        return returned(m, n, rule.FEATURES, 1)
    known = asked in _CALLS and asked not in (psci.MIGRATE, psci.MIGRATE_INFO_UP_CPU)
    if asked in (Function.SYSTEM_SUSPEND, Function.SYSTEM_SUSPEND_64):
        known = m.suspend
    known = (known and _since(asked) <= m.version) or asked == psci.SMCCC_VERSION
    return returned(m, n, rule.FEATURES, psci.SUCCESS if known else psci.NOT_SUPPORTED)


_V0_2, _V1_0, _V1_1, _V1_3 = (psci.version(*one) for one in ((0, 2), (1, 0), (1, 1), (1, 3)))
# By function ID: the first version of PSCI that has it, and what it does.
_CALLS: Mapping[int, tuple[int, Callable[[Machine, int, int], Next]]] = {
    psci.VERSION: (_V0_2, _version),
    psci.CPU_SUSPEND: (_V0_2, _cpu_suspend),
    psci.CPU_SUSPEND_64: (_V0_2, _cpu_suspend),
    psci.CPU_OFF: (_V0_2, _cpu_off),
    psci.CPU_ON: (_V0_2, _cpu_on),
    psci.CPU_ON_64: (_V0_2, _cpu_on),
    psci.AFFINITY_INFO: (_V0_2, _affinity),
    psci.AFFINITY_INFO_64: (_V0_2, _affinity),
    psci.MIGRATE_INFO_TYPE: (_V0_2, _migrate_type),
    Function.SYSTEM_OFF: (_V0_2, _off),
    Function.SYSTEM_RESET: (_V0_2, _reset),
    psci.FEATURES: (_V1_0, _features),
    Function.SYSTEM_SUSPEND: (_V1_0, _suspend),
    Function.SYSTEM_SUSPEND_64: (_V1_0, _suspend),
    Function.SYSTEM_RESET2: (_V1_1, _reset2),
    Function.SYSTEM_RESET2_64: (_V1_1, _reset2),
    Function.SYSTEM_OFF2: (_V1_3, _off2),
    Function.SYSTEM_OFF2_64: (_V1_3, _off2),
}
# The same for PSCI 0.1, as KVM has it.
_OLD_CALLS: Mapping[int, Callable[[Machine, int, int], Next]] = {
    psci.V0_1_CPU_OFF: _cpu_off,
    psci.V0_1_CPU_ON: _cpu_on,
}
# Every function that is called; those above, and some that no version has.
FUNCTIONS = (*_CALLS, psci.MIGRATE, psci.MIGRATE_INFO_UP_CPU, psci.NO_FUNCTION, psci.SMCCC_VERSION)
OLD_FUNCTIONS = (*_OLD_CALLS, psci.V0_1_CPU_SUSPEND, psci.V0_1_MIGRATE)


def _since(fid: int) -> int:
    return _CALLS[fid][0] if fid in _CALLS else as_register(-1)


def handle(m: Machine, n: int, smc: bool = False) -> Iterator[Next]:
    """Yield the machine after KVM has handled the call of a vCPU. smc: by SMC, not by HVC."""
    fid = _argument(m, n, 0) & _LOW
    action = next((action for first, last, action in m.filters if first <= fid <= last), SMCCC_FILTER_HANDLE)
    if action == SMCCC_FILTER_DENY:
        yield returned(m, n, rule.DENIED, psci.NOT_SUPPORTED)
    elif action == SMCCC_FILTER_FWD_TO_USER:
        # struct kvm_run.hypercall: nr, six arguments, ret, flags.
        written = struct.pack("<QQQQQQQQQ", fid, *[0] * 7, HYPERCALL_EXIT_SMC if smc else 0)
        page = m.vcpus[n].page.exit(ExitReason.HYPERCALL).write(kvm_run.UNION[0], written)
        yield m.done(n, rule.FORWARDED, page), rule.FORWARDED
    elif fid == psci.SMCCC_VERSION:
        yield returned(m, n, rule.SMCCC, _SMCCC_1_1)
    elif not m.psci:
        found = _OLD_CALLS.get(fid)
        yield found(m, n, fid) if found else returned(m, n, rule.UNKNOWN, psci.NOT_SUPPORTED)
    elif _since(fid) <= m.version:
        yield _CALLS[fid][1](m, n, fid)
    else:
        yield returned(m, n, rule.UNKNOWN, psci.NOT_SUPPORTED)


def set_filter(m: Machine, first: int, number: int, handling: int) -> Iterator[tuple[Machine, Rule, Answer]]:
    """Yield the machine after KVM_ARM_VM_SMCCC_FILTER of so many functions, from the first one on.

    The thread of a vCPU whose KVM_RUN is not waited for may not be in the kernel yet.
    """
    last = first + number - 1
    if not number or last > _LOW or handling > SMCCC_FILTER_FWD_TO_USER:
        yield m, rule.FILTER_REFUSED, Answer(Errno.EINVAL)
        return
    ran = [vcpu for vcpu in m.vcpus if vcpu.ran]
    if ran:
        yield m, rule.FILTER_REFUSED, Answer(Errno.EBUSY)
    if any(vcpu.phase is not Phase.LOOP for vcpu in ran):
        return
    taken = (*_RESERVED, *((begin, end) for begin, end, _ in m.filters))
    if any(begin <= last and first <= end for begin, end in taken):
        yield m, rule.FILTER_REFUSED, Answer(Errno.EEXIST)
    else:
        ranges = (*m.filters, (first, last, handling))
        yield msgspec.structs.replace(m, filters=ranges), rule.FILTER, Answer()
