"""The actions that the model of x86 has: what guests write to MSRs, and what userspace does."""

from __future__ import annotations

import functools

from sysevent.abi.hyperv import CRASH_NOTIFY, CRASH_NOTIFY_MESSAGE, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.abi.x86_64 import MSI_INIT, MSI_STARTUP
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.x86_64_msrs import PARAMETERS
from sysevent.scenario.x86_64 import NO_MSR
from sysevent.scenario.x86_64_machine import SIPI_VECTOR
from sysevent.scenario.x86_64_state import CORRECTED, UNCORRECTED

# fmt: off
_WRITES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((MSR_RESET, 1), (MSR_RESET, 1), (MSR_RESET, 0), (MSR_RESET, 2), (MSR_RESET, 1 << 32 | 1), (MSR_RESET, 3)),
    ((MSR_CRASH_CTL, CRASH_NOTIFY), (MSR_CRASH_CTL, CRASH_NOTIFY | CRASH_NOTIFY_MESSAGE),
     (MSR_CRASH_CTL, CRASH_NOTIFY_MESSAGE), (MSR_CRASH_CTL, 1)),
    tuple((MSR_CRASH_P0 + n, 0xC0DE_0000_0000_0000 + n) for n in range(PARAMETERS)),
)
# fmt: on


@functools.cache
def choices(
    n: int, peers: int, blocked: bool, begun: bool, machine_checks: bool
) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions on a vCPU.

    peers: how many vCPUs a guest can kick; begun: its guest has a program, or cannot run, so that it can be entered;
    machine_checks: KVM emulates them.
    """
    calls = tuple(tuple(Action("call", n, one) for one in group) for group in (*_WRITES, ((NO_MSR, 0),)))
    kicks = (tuple(Action("kick_cpu", n, (target,)) for target in range(peers)),) * 6 * bool(peers)
    runs = tuple(Action("run", n, (), mode) for mode in (0, 0, Mode.KEEP, Mode.IMMEDIATE, Mode.SIGNALLED))
    states = tuple(Action("set_state", n, (state,)) for state in (0, 1, 3, 9, 3, 5, 10, 11, 0x1_0000))
    host = tuple(tuple(Action("set_msr", n, one) for one in group) for group in _WRITES)
    parameters = tuple(Action("get_msr", n, (MSR_CRASH_P0 + number,)) for number in range(PARAMETERS))
    mce = (
        (Action("set_up_mce", n),),
        tuple(Action("mce", n, (status,)) for status in (UNCORRECTED, UNCORRECTED, CORRECTED, 0)),
    )
    always = (
        states,
        (Action("get_state", n),),
        *host,
        # Groups of its own: it shows what the group of the same MSR in "host" has done.
        *((Action("get_msr", n, (MSR_CRASH_CTL,)),),) * 2,
        (*parameters, Action("get_msr", n, (MSR_RESET,))),
        tuple(Action("triple_fault", n, (pending,)) for pending in (1, 1, 0)),
        (Action("events", n),),
        (Action("nmi", n),),
        *(((Action("msi", n, (MSI_INIT,)),),) if not peers else ()),
        *(mce if machine_checks else ()),
        tuple(Action("enable", 0, values) for values in ((1, 0), (1, 0), (0, 0), (1, 1))),
        tuple(Action("enforce", n, values) for values in ((1, 0), (1, 0), (0, 0), (1, 1))),
    )
    if blocked:
        # What it is in tells whether it was kicked.
        get = (Action("get_state", n),)
        return (*(runs,) * (3 * begun), *((Action("set_state", n, (0,)),),) * 5, get, get, *always)
    return (*(runs,) * (4 * begun), *calls[:3] * 2, *calls, *kicks, *always)


@functools.cache
def starts(n: int, blocked: bool, begun: bool) -> tuple[tuple[Action, ...], ...]:
    """Return the groups of actions on a vCPU of a machine in which INIT and SIPI start vCPUs.

    NMIs and what needs an exception are missing: nothing is where a vCPU in real mode would handle them.
    """
    runs = tuple(Action("run", n, (), mode) for mode in (0, 0, Mode.KEEP, Mode.IMMEDIATE, Mode.SIGNALLED))
    calls = tuple(tuple(Action("call", n, one) for one in group) for group in _WRITES)
    states = tuple(Action("set_state", n, (state,)) for state in (0, 1, 2, 2, 3, 9, 5))
    return (
        *(runs,) * (4 * begun),
        *(() if blocked else calls),
        (Action("call", n, _WRITES[0][2]),),
        states,
        (Action("get_state", n),),
        messages(n),
        messages(n),
        tuple(Action("set_msr", n, one) for one in _WRITES[0]),
    )


def messages(n: int) -> tuple[Action, ...]:
    """Return the actions that send INIT and SIPI to a vCPU, also while it is in KVM_RUN. No INIT for the first one."""
    sipi = Action("msi", n, (MSI_STARTUP | SIPI_VECTOR,))
    return (Action("msi", n, (MSI_INIT,)), sipi) if n else (sipi,)
