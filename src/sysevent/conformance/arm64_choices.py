"""The actions that the model of arm64 has: calls of guests with their arguments, and what userspace does."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from sysevent.abi import psci
from sysevent.abi.arm64 import VCPU_POWER_OFF, VCPU_PSCI_0_2
from sysevent.abi.psci import Function
from sysevent.conformance.arm64_psci import FUNCTIONS, OLD_FUNCTIONS
from sysevent.conformance.machine import Action, Mode
from sysevent.scenario.arm64 import COOKIE as _COOKIE
from sysevent.scenario.arm64 import RAM
from sysevent.scenario.gic import PPI, PPIS, SPI, SPIS

# Versions of PSCI: those that KVM has had, in order, and some that it has not, or does not select.
VERSIONS = tuple(
    psci.version(*one) for one in ((0, 2), (1, 0), (1, 1), (1, 2), (1, 3), (0, 1), (0, 3), (2, 0))
)
# Calls that change which vCPU runs.
_POWER = (psci.CPU_ON_64, psci.CPU_SUSPEND_64, psci.V0_1_CPU_ON, Function.SYSTEM_SUSPEND)
_CONTEXT, _UPPER = 0xC0DE_0000_0000_C0DE, 1 << 32


def _arguments(fid: int, vcpus: int) -> Iterator[tuple[int, ...]]:
    """Yield arguments that a function is called with, the simplest first."""
    narrow = not fid >> 30 & 1
    if fid in (psci.CPU_ON, psci.CPU_ON_64, psci.V0_1_CPU_ON):
        yield from ((target, RAM, _CONTEXT) for target in range(vcpus + 1))
        yield 1, RAM + 4, int(Function.SYSTEM_OFF)
        yield _UPPER | 1, _UPPER | RAM, _CONTEXT
    elif fid in (psci.AFFINITY_INFO, psci.AFFINITY_INFO_64):
        yield from ((target, 0, 0) for target in range(vcpus + 1))
        yield from ((0x100, 1, 0), (0x101, 2, 0), (0, 4, 0), (_UPPER | 1, _UPPER, 0))
    elif fid in (Function.SYSTEM_RESET2, Function.SYSTEM_RESET2_64):
        yield from ((kind, _COOKIE, 0x5E03) for kind in (0, 1, _UPPER - 1, 1 << 31, (1 << 31) - 1, _UPPER))
    elif fid in (Function.SYSTEM_OFF2, Function.SYSTEM_OFF2_64):
        yield from ((0, 0, 7), (1, 0, 7), (2, 0, 7), (0, 1, 7), (_UPPER, _UPPER if narrow else 0, 7))
    elif fid in (Function.SYSTEM_SUSPEND, Function.SYSTEM_SUSPEND_64):
        yield RAM, _COOKIE, _COOKIE
    elif fid == psci.FEATURES:
        yield from ((int(asked), 0, 0) for asked in FUNCTIONS)
    else:
        yield 0x5E01, 0x5E02, 0x5E03


@functools.cache
def choices(
    n: int, vcpus: int, psci_0_2: bool, mmio: bool, known: bool, kept: bool, smc: bool, gic: bool
) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions on a vCPU.

    mmio: its store is not completed; known: what its registers are; kept: KVM_RUN does not begin with its guest;
    smc: it can make its calls by SMC, too; gic: it has interrupts of a GIC.
    """
    runs = tuple(Action("run", n, (), mode) for mode in (0, Mode.KEEP, Mode.IMMEDIATE, Mode.SIGNALLED))
    runnable = (Action("set_state", n, (0,)),)
    states = tuple(Action("set_state", n, (state,)) for state in (5, 10, 5, 10, 10, 3, 11, 0x1_0005))
    lines = inputs(n, gic)
    features = VCPU_PSCI_0_2 if psci_0_2 else 0
    inits = (features, features, features | VCPU_POWER_OFF, features ^ VCPU_PSCI_0_2)
    sleep = (Action("wfi", n, (0x5E00,)),)
    # A store that is not completed moves the program counter that an Entry has set.
    kind = "next" if mmio and known else "call"
    calls = tuple(
        tuple(Action(kind, n, (int(fid), *values)) for values in _arguments(fid, vcpus))
        for fid in (FUNCTIONS if psci_0_2 else OLD_FUNCTIONS)
    )
    always = (
        states,
        (Action("get_state", n),),
        lines,
        tuple(Action("init", n, (value,)) for value in inits),
        (Action("get_version", n), *(Action("set_version", n, (version,)) for version in VERSIONS)),
        tuple(Action("enable", 0, (flags,)) for flags in (0, 0, 0, 1)),
        _refused_lines(n, vcpus, gic),
        *((sleep,) * (1 + 2 * gic) if not kept and not mmio else ()),
    )
    if kept:
        return (*(runnable,) * 6, *(runs,) * (3 * known), *always, lines, calls[0], calls[-1])
    return (
        *((runs,) if known else ()),
        *always,
        states,
        *calls,
        # Those that change which vCPU runs, more often.
        *(group for group in calls for _ in range(2) if group[0].values[0] in _POWER),
        *((tuple(Action("call", n, one.values) for one in calls[0]),) if mmio else ()),
        *((tuple(Action("smc", n, one.values) for group in calls for one in group),) * 3 if smc else ()),
    )


@functools.cache
def filters(psci_0_2: bool, begun: bool) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of SMCCC filters. begun: a vCPU has been in KVM_RUN, so that KVM refuses them."""
    functions = FUNCTIONS if psci_0_2 else OLD_FUNCTIONS
    single = tuple(
        Action("filter", 0, (int(function), 1, action)) for function in functions for action in (1, 2)
    )
    # All functions of PSCI, 32 bits; a range with reserved ones; none; one behind the last; an action that none has.
    off = Function.SYSTEM_OFF
    ranges = (
        (psci.VERSION, 0x20, 1),
        (psci.VERSION, 0x20, 2),
        (off, 2, 0),
        (psci.SMCCC_VERSION + 0xFFFF, 2, 1),
        (off, 0, 1),
        (0xFFFF_FFFF, 2, 1),
        (off, 1, 3),
    )
    several = tuple(Action("filter", 0, (int(first), *more)) for first, *more in ranges)
    return (several,) if begun else (single, single, single, several, several)


def inputs(n: int, gic: bool) -> tuple[Action, ...]:
    """Return the actions that make an interrupt pending for a vCPU, or not pending, also while it is in KVM_RUN."""
    if not gic:
        return tuple(Action("line", n, (level,)) for level in (1, 0))
    spis = tuple(Action("spi", 0, (SPI, level)) for level in (1, 0)) if n == 0 else ()
    return (*(Action("ppi", n, (PPI, level)) for level in (1, 0)), *spis)


def _refused_lines(n: int, vcpus: int, gic: bool) -> tuple[Action, ...]:
    if not gic:
        return (Action("line", vcpus, (1,)), Action("ppi", n, (PPI, 1)), Action("spi", 0, (SPI, 1)))
    return (
        Action("line", n, (1,)),
        *(Action("ppi", n, (number, 1)) for number in (PPIS.start - 1, PPIS.stop)),
        Action("ppi", vcpus, (PPI, 1)),
        *(Action("spi", 0, (number, 1)) for number in (SPIS.start - 1, SPIS.stop)),
    )


@functools.cache
def gic_writes(n: int, free: bool) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of writes to a GIC; free: no vCPU is in KVM_RUN, so that KVM takes them."""
    distributor = tuple(Action("distributor", 0, (on,)) for on in (1, 1, 0))
    if not free:
        return (distributor,)
    # The first action of a group is what a wakeup needs.
    own = ((n, PPI), (0, SPI)) if n == 0 else ((n, PPI),)
    return (
        distributor,
        tuple(Action("irq_mask", n, (mask,)) for mask in (0xF0, 0xF0, 0x80, 0)),
        tuple(Action("irq_enabled", at, (number, on)) for at, number in own for on in (1, 1, 0)),
        (
            *(Action("irq_pending", at, (number, on)) for at, number in own for on in (1, 0)),
            *(Action("irq_active", at, (number, on)) for at, number in own for on in (0, 1)),
        ),
        (
            *(Action("irq_priority", at, (number, one)) for at, number in own for one in (0, 0xA0, 0xF0)),
            *(Action("irq_group", n, (on,)) for on in (1, 0)),
        ),
    )
