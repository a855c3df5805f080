"""What holds around an arm64 guest's event: who runs, who is stopped, what happens next."""

from __future__ import annotations

import functools

from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import DENIED, INTERNAL_FAILURE
from sysevent.contract.arm64 import CAP_SUSPEND, HSR_HIGH, OFF2, RESET2, refused
from sysevent.contract.around import Blocks, Contains, Counters, Gives, Interrupted, SameBytes
from sysevent.contract.checks import Check, Exits, Holds, Register, Written
from sysevent.contract.claim import Need
from sysevent.contract.common import (
    API,
    EXIT_DEBUG,
    EXIT_MMIO,
    EXIT_SYSTEM_EVENT,
    RESET,
    SHUTDOWN,
    SUSPEND,
    WAKEUP,
    old_system_event,
    row,
    system_event,
)
from sysevent.model import Level
from sysevent.scenario.catalog.arm64 import COOKIE, RETURNED, SYSTEM_SUSPEND

_row = functools.partial(row, "arm64")
_observed = functools.partial(row, "arm64", level=Level.OBSERVED)

_STOPS = (
    "arch/arm64/kvm/psci.c, kvm_prepare_system_event: the comment that begins 'The KVM ABI specifies'; "
    "vCPUs are not run after the call and before they are initialized anew"
)
_MP = "Documentation/virt/kvm/api.rst, KVM_GET_MP_STATE, KVM_MP_STATE_SUSPENDED; 7b33a09d036f, v5.19"
_IMMEDIATE = "Documentation/virt/kvm/api.rst, kvm_run, immediate_exit"
_POISON32 = 0xAAAA_AAAA

# name: (the call, type, data, needs)
_FINAL: dict[str, tuple[str, int, int, tuple[Need, ...]]] = {
    "off": ("SYSTEM_OFF", SHUTDOWN, 0, ()),
    "reset": ("SYSTEM_RESET", RESET, 0, ()),
    "reset2": ("SYSTEM_RESET2", RESET, 1, (RESET2,)),
    "off2": ("SYSTEM_OFF2", SHUTDOWN, 1, (OFF2,)),
}


def _stopped(count: int) -> tuple[Check, ...]:
    """Every vCPU says STOPPED, every peer blocks and counts no further."""
    return (
        Exits(EXIT_SYSTEM_EVENT),
        Counters("counted after the exit", "counted later", count, running=False),
        *(Blocks(f"peer {peer}") for peer in range(1, count)),
        *(Contains(f"mp_state {vcpu}", MpState.STOPPED) for vcpu in range(count)),
    )


CLAIMS = (
    *(
        _row(
            f"peers.{name}.{count}",
            f"After {call} none of {count} vCPUs runs: all are STOPPED, and none leaves KVM_RUN by itself.",
            _STOPS,
            _stopped(count),
            *needs,
        )
        for name, (call, _, _, needs) in _FINAL.items()
        for count in (2, 4)
    ),
    *(
        _row(
            f"peers.suspend.{count}",
            f"After SYSTEM_SUSPEND all of {count} vCPUs are RUNNABLE: it is userspace that decides.",
            "Documentation/virt/kvm/api.rst, KVM_SYSTEM_EVENT_SUSPEND",
            (
                Exits(EXIT_SYSTEM_EVENT),
                *(Contains(f"mp_state {vcpu}", MpState.RUNNABLE) for vcpu in range(count)),
            ),
            CAP_SUSPEND,
        )
        for count in (2, 4)
    ),
    _observed(
        "peers.suspend.running",
        "SYSTEM_SUSPEND does not stop peers that run.",
        "arch/arm64/kvm/psci.c, kvm_psci_system_suspend",
        (Exits(EXIT_SYSTEM_EVENT), Counters("counted after the exit", "counted later", 2, running=True)),
        CAP_SUSPEND,
        scenario="peers.suspend.2",
    ),
    *(
        _row(
            f"reentry.{name}",
            f"After {call} KVM_RUN blocks until userspace declares the vCPU runnable; then the guest goes on behind "
            "the call with INTERNAL_FAILURE (-6) in x0.",
            _STOPS,
            (Exits(EXIT_SYSTEM_EVENT), Blocks("again"), *refused(INTERNAL_FAILURE, "resumed")),
            *needs,
        )
        for name, (call, _, _, needs) in _FINAL.items()
    ),
    _row(
        "reentry.suspend",
        "After SYSTEM_SUSPEND KVM_RUN goes on behind the call, with x0 as userspace left it.",
        "Documentation/virt/kvm/api.rst, KVM_SYSTEM_EVENT_SUSPEND",
        (Exits(EXIT_SYSTEM_EVENT), *refused(SYSTEM_SUSPEND, "again")),
        CAP_SUSPEND,
    ),
    *(
        _row(
            f"reinit.{name}",
            f"KVM_ARM_VCPU_INIT after {call} makes a runnable vCPU whose next event is its own.",
            "Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT",
            (
                *(Exits(EXIT_SYSTEM_EVENT), Gives("init"), Contains("mp_state", MpState.RUNNABLE)),
                *system_event(SHUTDOWN, 0, label="second"),
            ),
            *_FINAL[name][3],
            before=(
                *(Exits(EXIT_SYSTEM_EVENT), Gives("init"), Contains("mp_state", MpState.RUNNABLE)),
                *old_system_event(SHUTDOWN, 0, label="second"),
            ),
        )
        for name, call in (("off", "SYSTEM_OFF"), ("reset2", "SYSTEM_RESET2"))
    ),
    _row(
        "suspend.refused",
        "Userspace that refuses a suspend writes x0 and lets the guest go on.",
        "Documentation/virt/kvm/api.rst, KVM_SYSTEM_EVENT_SUSPEND",
        (Exits(EXIT_SYSTEM_EVENT), *refused(DENIED, "resumed")),
        CAP_SUSPEND,
    ),
    _row(
        "suspend.asleep",
        "A vCPU in KVM_MP_STATE_SUSPENDED blocks in KVM_RUN as long as nothing wakes it.",
        _MP,
        (Exits(EXIT_SYSTEM_EVENT), Gives("grant"), Blocks("asleep")),
        CAP_SUSPEND,
    ),
    _row(
        "suspend.wakeup",
        "A suspended vCPU with a pending interrupt exits as WAKEUP with no data, again and again, until "
        "userspace makes it RUNNABLE; then the guest goes on.",
        f"{API}; {_MP}",
        (
            *(Gives("grant"), Contains("mp_state granted", MpState.SUSPENDED)),
            *system_event(WAKEUP, label="wakeup"),
            Contains("mp_state woken", MpState.SUSPENDED),
            *system_event(WAKEUP, label="wakeup again"),
            *(Gives("leave"), *refused(SYSTEM_SUSPEND, "resumed")),
        ),
        CAP_SUSPEND,
    ),
    _observed(
        "suspend.wakeup.written",
        "For WAKEUP the kernel writes all 136 bytes of system_event.",
        "arch/arm64/kvm/arm.c, kvm_vcpu_suspend: memset of the whole structure",
        (Exits(EXIT_SYSTEM_EVENT, "wakeup"), Written(((32, 168),), "wakeup")),
        CAP_SUSPEND,
        scenario="suspend.wakeup",
    ),
    _row(
        "wakeup.blocked",
        "An interrupt wakes a vCPU that blocks in KVM_RUN as SUSPENDED: WAKEUP with no data.",
        f"{API}; {_MP}",
        (Gives("suspend"), *system_event(WAKEUP, label="wakeup")),
        CAP_SUSPEND,
    ),
    _row(
        "immediate_exit",
        "With immediate_exit KVM_RUN gives EINTR and runs nothing; the event comes at the next KVM_RUN.",
        _IMMEDIATE,
        (Interrupted("nothing"), *system_event(RESET, 1)),
        RESET2,
        before=(Interrupted("nothing"), *old_system_event(RESET, 1)),
    ),
    _observed(
        "immediate_exit.reason",
        "KVM_RUN that ends for immediate_exit writes no exit reason, so nobody may read one.",
        "arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run",
        (Interrupted("nothing"), Holds("exit_reason", _POISON32, "nothing")),
        scenario="immediate_exit",
    ),
    *(
        _row(
            f"sequence.reset2_then_{name}",
            f"{call} after SYSTEM_RESET2 exits with its own data, and nothing of the first.",
            API,
            (*system_event(RESET, 1, label="first"), *system_event(kind, *data)),
            RESET2,
            *needs,
        )
        for name, call, kind, data, needs in (
            ("off", "SYSTEM_OFF", SHUTDOWN, (0,), ()),
            ("reset", "SYSTEM_RESET", RESET, (0,), ()),
            ("suspend", "SYSTEM_SUSPEND", SUSPEND, (), (CAP_SUSPEND,)),
        )
    ),
    *(
        _row(
            f"after_mmio.{name}",
            f"{call} right after an MMIO exit, whose bytes lie in the same union, exits with its own data.",
            API,
            (
                Exits(EXIT_MMIO, "first"),
                Holds("mmio.phys_addr", RETURNED, "first"),
                *system_event(kind, flag),
            ),
            *needs,
            before=(Exits(EXIT_MMIO, "first"), *old_system_event(kind, flag)),
        )
        for name, (call, kind, flag, needs) in _FINAL.items()
    ),
    _row(
        "after_mmio.suspend",
        "SYSTEM_SUSPEND right after an MMIO exit exits with no data.",
        API,
        (Exits(EXIT_MMIO, "first"), *system_event(SUSPEND)),
        CAP_SUSPEND,
    ),
    _row(
        "poison.reset2",
        "What SYSTEM_RESET2 writes does not depend on what was in kvm_run before.",
        API,
        (
            *(*system_event(RESET, 1), *system_event(RESET, 1, label="other")),
            *(SameBytes("exit", "other", (8, 12)), SameBytes("exit", "other", (32, 48))),
            *(Register("x2", COOKIE & 0xFFFF_FFFF), Register("x2", COOKIE & 0xFFFF_FFFF, "other")),
        ),
        RESET2,
    ),
    # The same hazard elsewhere in the union
    _row(
        "debug.break",
        "A software breakpoint exits as DEBUG with hsr of a BRK, hsr_high 0, and the flag that makes it valid.",
        "Documentation/virt/kvm/api.rst, KVM_EXIT_DEBUG; 18f3976fdb5d, KVM: arm64: uapi: Add "
        "kvm_debug_exit_arch.hsr_high, v5.19",
        (
            *(Exits(EXIT_DEBUG, "debug"), Holds("debug.hsr", 0xF200_0000, "debug")),
            *(Holds("debug.hsr_high", 0, "debug"), Holds("run.flags", 1, "debug")),
        ),
        HSR_HIGH,
    ),
    _row(
        "debug.event",
        "At the system event after a breakpoint the flag for hsr_high is gone, and the event is whole.",
        "Documentation/virt/kvm/api.rst, kvm_run, flags; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run",
        (Exits(EXIT_DEBUG, "debug"), *system_event(SHUTDOWN, 0), Holds("run.flags", 0)),
        HSR_HIGH,
        scenario="debug.break",
    ),
    *(
        _row(
            f"psci.{name}.flags",
            f"kvm_run.flags is 0 at {call}: none of its bits is about system events.",
            "Documentation/virt/kvm/api.rst, kvm_run, flags; 18f3976fdb5d, v5.19",
            (Exits(EXIT_SYSTEM_EVENT), Holds("run.flags", 0)),
            HSR_HIGH,
            *_FINAL[name][3],
            scenario=f"psci.{name}",
        )
        for name, call in (("off", "SYSTEM_OFF"), ("reset", "SYSTEM_RESET"), ("reset2", "SYSTEM_RESET2"))
    ),
)
