"""The actions that the model of riscv64 has: calls of guests with their arguments, and what userspace does."""

from __future__ import annotations

import functools

from sysevent.abi import aia, sbi
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.riscv64_machine import IDS
from sysevent.scenario.aia import IDENTITY, OTHER
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
    n: int,
    vcpus: int,
    mmio: bool,
    kept: bool,
    ran: bool,
    begun: bool,
    susp: bool,
    suspends: bool,
    has_aia: bool,
) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions on a hart.

    mmio: its store is not completed; kept: KVM_RUN does not begin with its guest; ran: it was entered; begun: its guest
    has a program; susp: KVM has SBI's system suspend; suspends: that is on; has_aia: there is an AIA in the kernel.
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
        *interrupts(n, vcpus, has_aia),
        *(_writes(n) if has_aia else ()),
        tuple(Action("sie", n, (on,)) for on in (1, 1, 0)),
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
        *(((Action("wfi", n, (0x5E00,) * 8),),) * (1 + 2 * has_aia) if not mmio else ()),
        *((tuple(Action("call", n, one.values) for one in calls[0]),) if mmio else ()),
    )


def interrupts(n: int, vcpus: int, has_aia: bool) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions that can make an interrupt of a hart pending, also while it is in KVM_RUN."""
    direct = tuple(Action("interrupt", n, (value,)) for value in (SET, _UNSET))
    messages = tuple(Action("msi", n, (number,)) for number in (IDENTITY, IDENTITY, OTHER, 0, IDS))
    sources = tuple(
        Action("source", 0, (number, level)) for number, level in ((1, 1), (1, 0), (1, 1), (0, 1), (32, 1))
    )
    if not has_aia:
        return direct, (messages[0], sources[0])
    return direct, (*messages, Action("msi", vcpus, (IDENTITY,))), sources


def _writes(n: int) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of writes to the APLIC, and to the IMSIC of a hart."""
    target = n << aia.APLIC_TARGET_HART_SHIFT | IDENTITY
    both = 1 << IDENTITY | 1 << OTHER
    modes = (
        aia.SOURCE_EDGE_RISE,
        aia.SOURCE_LEVEL_HIGH,
        aia.SOURCE_EDGE_FALL,
        aia.SOURCE_LEVEL_LOW,
        aia.SOURCE_INACTIVE,
        aia.SOURCE_DETACHED,
    )
    enables = (aia.APLIC_DOMAINCFG, aia.APLIC_DOMAINCFG_IE), (aia.APLIC_SETIENUM, 1)
    aplic = (
        (*enables, *enables, (aia.APLIC_DOMAINCFG, 0), (aia.APLIC_CLRIENUM, 1)),
        (
            *((aia.APLIC_SOURCECFG1, mode) for mode in modes),
            *((aia.APLIC_TARGET1, one) for one in (target, 0)),
        ),
        ((aia.APLIC_SETIPNUM, 1), (aia.APLIC_CLRIPNUM, 1), (aia.APLIC_GENMSI, target), (0x2, 0), (0x1000, 0)),
    )
    imsic = (
        (
            *((aia.IMSIC_EIDELIVERY, on) for on in (1, 1, 0)),
            *((aia.IMSIC_EITHRESHOLD, below) for below in (0, IDENTITY, IDENTITY + 1)),
        ),
        (
            *((aia.IMSIC_EIE0, bits) for bits in (1 << IDENTITY, both, 0)),
            *((aia.IMSIC_EIP0, bits) for bits in (1 << IDENTITY, 0)),
            *(
                (register, 0)
                for register in (aia.IMSIC_EIDELIVERY + 1, aia.IMSIC_EIP0 + 1, aia.IMSIC_EIE0 + 2)
            ),
        ),
    )
    return (
        *(tuple(Action("aplic", 0, one) for one in group) for group in aplic),
        *(tuple(Action("imsic", n, one) for one in group) for group in imsic),
    )
