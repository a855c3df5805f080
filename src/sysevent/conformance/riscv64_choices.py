"""The actions that the model of riscv64 has: calls of guests with their arguments, and what userspace does."""

from __future__ import annotations

import functools

from sysevent.abi import sbi
from sysevent.conformance.machine import Action, Mode
from sysevent.scenario.riscv64 import RAM, STARTED_AT

# KVM_INTERRUPT_SET, KVM_INTERRUPT_UNSET.
SET, _UNSET = 0xFFFF_FFFF, 0xFFFF_FFFE
# An address without memory.
NOWHERE = 0x1_0000_0000
_UPPER, _OPAQUE = 1 << 32, 0xC0DE_0000_8BAD_F00D
# fmt: off
# Groups of calls: a0, a1, a2, function, extension.
_SRST_CALLS = tuple(
    (kind, reason, 2, function, sbi.SRST)
    for kind, reason, function in (
        (0, 0, 0), (0, 0xDEAD_BEEF_0000_0001, 0), (1, 1, 0), (2, sbi.VENDOR_REASON, 0), (_UPPER, 5, 0),
        (_UPPER | 1, 0, 0), (3, 0, 0), (sbi.VENDOR_TYPE, 0, 0), (0, 0, 1), (1, 0, _UPPER),
    )
)
_BASE_CALLS = tuple(
    (asked, 0, 2, sbi.PROBE_EXTENSION, sbi.BASE)
    for asked in (sbi.SRST, sbi.HSM, sbi.SUSP, sbi.LEGACY_SHUTDOWN, 0x0BAD_0000)
)
_SUSP_CALLS = tuple(
    (kind, address, _OPAQUE, 0, sbi.SUSP) for kind, address in ((0, STARTED_AT), (_UPPER, RAM + 4))
)
_SUSP_REFUSED = ((1, RAM, 0, 0, sbi.SUSP), (0, NOWHERE, 0, 0, sbi.SUSP), (0, RAM, 0, 1, sbi.SUSP))
_OTHER_CALLS = ((0, 0, 2, 0, sbi.LEGACY_SHUTDOWN), (0, 0, 2, 0, 0x0BAD_0000), (0, 0, 2, 0, _UPPER | sbi.SRST))
# fmt: on


@functools.cache
def choices(
    n: int, vcpus: int, mmio: bool, kept: bool, ran: bool, begun: bool, susp: bool, suspends: bool
) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions on a hart.

    mmio: its store is not completed; kept: KVM_RUN does not begin with its guest; ran: it was entered; begun: its guest
    has a program; susp: KVM has SBI's system suspend; suspends: that is on.
    """
    targets = range(vcpus + 1)
    hsm = (
        tuple(
            (target, address, _OPAQUE, sbi.HART_START)
            for target in targets
            for address in (STARTED_AT, RAM + 4)
        ),
        ((0, 0, 0, sbi.HART_STOP),),
        tuple((target, 0, 0, sbi.HART_STATUS) for target in targets),
        ((0, RAM, 0, sbi.HART_SUSPEND),),
        ((sbi.NON_RETENTIVE, RAM, 0, sbi.HART_SUSPEND), (1, RAM, 0, sbi.HART_SUSPEND), (0, 0, 0, 9)),
    )
    suspend = (*((_SUSP_CALLS,) * (1 + 9 * suspends)), _SUSP_REFUSED) if susp else ()
    groups = (_SRST_CALLS, _SRST_CALLS, *(tuple((*one, sbi.HSM) for one in group) for group in hsm))
    kind = "next" if mmio else "call"
    calls = tuple(
        tuple(
            Action(kind, n, (a0, a1, a2, 0x5E03, 0x5E04, 0x5E05, function, extension))
            for a0, a1, a2, function, extension in group
        )
        for group in (*groups, _BASE_CALLS, _OTHER_CALLS, *suspend)
    )
    runs = tuple(Action("run", n, (), mode) for mode in (0, Mode.KEEP, Mode.IMMEDIATE, Mode.SIGNALLED))
    runnable = (Action("set_state", n, (0,)),)
    states = tuple(Action("set_state", n, (state,)) for state in (5, 5, 0, 2, 10, 0x1_0005))
    enables = tuple(Action("enable", n, (value,)) for value in (0, 1, 2))
    turns_on = tuple(Action("enable_susp", n, (value,)) for value in (1, 1, 1, 0, 2))
    always = (
        states,
        (Action("get_state", n),),
        interrupts(n),
        enables,
        (Action("is_enabled", n),),
        *((turns_on,) if susp else ()),
    )
    if kept:
        return (*(runnable,) * 6, *(runs,) * 3, *always, calls[0], calls[4])
    return (
        *((runs,) if begun else ()),
        *always,
        *((enables,) if not ran else ()),
        *((turns_on,) * 5 if susp and not ran and not suspends else ()),
        *calls,
        *(calls[2:4]),
        *((tuple(Action("call", n, one.values) for one in calls[0]),) if mmio else ()),
    )


def interrupts(n: int) -> tuple[Action, ...]:
    """Return the actions that set and clear the external interrupt of a hart, also while it is in KVM_RUN."""
    return tuple(Action("interrupt", n, (value,)) for value in (SET, _UNSET))
