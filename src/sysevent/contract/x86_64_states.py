"""What holds around an x86 guest's event: peers, re-entry, pending requests, and what was in kvm_run before."""

from __future__ import annotations

import functools

from sysevent.abi.mp_state import MpState
from sysevent.contract.around import Contains, Counters, Gives, Interrupted, SameBytes
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.common import (
    API,
    CRASH,
    EXIT_DEBUG,
    EXIT_IO,
    EXIT_MMIO,
    EXIT_SYSTEM_EVENT,
    REPAIR,
    RESET,
    old_system_event,
    row,
    system_event,
)
from sysevent.contract.x86_64 import ENTER, EVENTS, TLFS, on_hyperv, went_on
from sysevent.model import Level
from sysevent.scenario.catalog.x86_64_states import CRASH_PARAMETERS

_row = functools.partial(row, "x86_64")
_observed = functools.partial(row, "x86_64", level=Level.OBSERVED)

_ROWS = (
    *(
        _observed(
            f"peers.{name}.{count}",
            f"After {msr} all of {count} vCPUs are RUNNABLE, and peers run on.",
            f"{ENTER}: nothing stops a vCPU",
            (
                Exits(EXIT_SYSTEM_EVENT),
                Counters("counted after the exit", "counted later", count, running=True),
                *(Contains(f"mp_state {vcpu}", MpState.RUNNABLE) for vcpu in range(count)),
            ),
        )
        for name, (msr, _, _) in EVENTS.items()
        for count in (2, 4)
    ),
    *(
        _row(
            f"reentry.{name}",
            f"After {msr} KVM_RUN continues the guest, and the event does not repeat.",
            ENTER,
            (Exits(EXIT_SYSTEM_EVENT), *went_on("again")),
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    *(
        _row(
            f"after_{first}.{name}",
            f"{msr} right after an {word} exit, whose bytes lie in the same union, exits with ndata 0, not with those "
            "bytes.",
            f"{API}; {REPAIR}",
            (Exits(reason, "first"), *system_event(number)),
            # What ndata's bytes hold before v5.18 is the claim below.
            before=(Exits(reason, "first"), Exits(EXIT_SYSTEM_EVENT), Holds("type", number)),
        )
        for first, word, reason in (("out", "I/O", EXIT_IO), ("mmio", "MMIO", EXIT_MMIO))
        for name, (msr, number, _) in EVENTS.items()
    ),
    *(
        _observed(
            f"after_out.{name}.stale",
            f"After an I/O exit {msr} leaves io.data_offset (0x1000) in data[0]; before v5.18 also io.count (1) where "
            "ndata is today: a reader that does not ask for capability 215 finds one datum there, 0x1000.",
            f"{ENTER}: no memset; {REPAIR}",
            (Exits(EXIT_SYSTEM_EVENT), Holds("ndata", 0), Holds("data[0]", 0x1000)),
            scenario=f"after_out.{name}",
            before=(Exits(EXIT_SYSTEM_EVENT), Holds("ndata", 1), Holds("flags", 0x1000)),
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    *(
        _observed(
            f"after_mmio.{name}.stale",
            f"After an MMIO exit {msr} leaves the bytes of data[] as that exit left them.",
            f"{ENTER}: no memset",
            (Exits(EXIT_SYSTEM_EVENT), SameBytes("first", "exit", (40, 168))),
            scenario=f"after_mmio.{name}",
        )
        for name, (msr, _, _) in EVENTS.items()
    ),
    _row(
        "sequence.crash_then_reset",
        "A reset after a crash exits with its own type.",
        API,
        (*system_event(CRASH, label="first"), *system_event(RESET)),
        before=(*old_system_event(CRASH, label="first"), Exits(EXIT_SYSTEM_EVENT), Holds("type", RESET)),
    ),
    _row(
        "pending.both",
        "Of a crash and a reset that are pending together the crash is told first, the reset at the next KVM_RUN, "
        "and then neither again.",
        f"{ENTER}: KVM_REQ_HV_CRASH stands before KVM_REQ_HV_RESET",
        (
            *(Exits(EXIT_DEBUG, "step"), Gives("set reset", 1)),
            *system_event(CRASH),
            *system_event(RESET, label="second"),
            *went_on("third"),
        ),
        before=(
            *(Exits(EXIT_DEBUG, "step"), Gives("set reset", 1)),
            *old_system_event(CRASH),
            *old_system_event(RESET, label="second"),
            *went_on("third"),
        ),
    ),
    _row(
        "crash.parameters",
        "The parameters of a crash are in HV_X64_MSR_CRASH_P0 to P4, not in the exit.",
        f"{TLFS}; Documentation/virt/kvm/api.rst, KVM_GET_MSRS",
        (
            *(Gives("set", 5), Exits(EXIT_SYSTEM_EVENT), Holds("type", CRASH), Gives("get", 5)),
            *(Contains("get", value, 16 + 16 * n, 8) for n, value in enumerate(CRASH_PARAMETERS)),
        ),
    ),
    _row(
        "immediate_exit",
        "With immediate_exit KVM_RUN gives EINTR and runs nothing; the event comes at the next KVM_RUN.",
        "Documentation/virt/kvm/api.rst, kvm_run, immediate_exit",
        (Interrupted("nothing"), *system_event(RESET)),
        before=(Interrupted("nothing"), *old_system_event(RESET)),
    ),
    _row(
        "sync_regs",
        "kvm_valid_regs lies at 288 and the registers it asks for from 304 on, behind a union of 256 bytes.",
        "Documentation/virt/kvm/api.rst, KVM_CAP_SYNC_REGS; include/uapi/linux/kvm.h, struct kvm_run",
        (
            Exits(EXIT_SYSTEM_EVENT),
            Holds("kvm_valid_regs", 1),
            Holds("s.regs[0]", 1),
            Holds("s.regs", 0x5E01),
        ),
    ),
)

CLAIMS = tuple(map(on_hyperv, _ROWS))
