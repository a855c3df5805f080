"""SBI hart state management (HSM) beside system events: how harts start, stop and sleep, none of which is an event.

A guest that boots, or boots again, starts its other harts by HART_START. Such a hart can cause an event as any other.
Stopping or suspending a hart stops that hart alone. Source: RISC-V SBI specification, HSM;
arch/riscv/kvm/vcpu_sbi_hsm.c.
"""

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.sbi import HSM
from sysevent.contract.checks import Exits, Holds, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import SYSTEM_RESET, event_claim, guest_continues
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import (
    COUNTERS,
    RETURNED_MMIO,
    STARTED_AT,
    call,
    next_call,
    scenario,
    vm_with_vcpus,
)
from sysevent.scenario.steps import SETTLE_MS, Entry, Read, Sleep, Start, Wait, Watch, run

SPECIFICATION = "RISC-V SBI specification, HSM; arch/riscv/kvm/vcpu_sbi_hsm.c"
# What HART_START passes on in a1. The lower half is the reason of the event that follows.
OPAQUE = 0xC0DE_0000_8BAD_F00D
ANOTHER = 0x5EC0_0000_0000_0001
# Milliseconds for the KVM_RUN of a hart that must not come back.
BLOCKED = 8


def start(by, label, opaque):
    """Return the steps in which hart 0 starts hart 1; by is call, or next_call."""
    return by(0, 1, STARTED_AT, label, a2=opaque, function=sbi.HART_START, extension=HSM)


# Hart 1 waits in KVM_RUN when it is started, causes a RESET, because its number is the type of a cold reboot, and after
# userspace has made hart 0 RUNNABLE it is started again.
STARTS = scenario(
    "hsm.start",
    *vm_with_vcpus(vcpus=2),
    Start(1),
    *start(call, "start", OPAQUE),
    Wait("started", 1),
    ioctls.get_mp_state(1, "mp_state started"),
    *run("exit", 1),
    *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in (0, 1)),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *start(next_call, "start again", ANOTHER),
    *run("started again", 1),
)
# Hart 0 stops itself while hart 1 counts.
STOPS = scenario(
    "hsm.stop",
    *vm_with_vcpus(vcpus=2),
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    Entry("call", (0, COUNTERS + 8), 1, "spin"),
    Start(1),
    Watch(COUNTERS + 8),
    *call(0, 0, 0, "stop", function=sbi.HART_STOP, extension=HSM, milliseconds=BLOCKED),
    Read(COUNTERS, 16, "after the stop"),
    Sleep(SETTLE_MS),
    Read(COUNTERS, 16, "later"),
    Wait("peer", 1, 1),
    *run("stopped", milliseconds=BLOCKED),
    *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in (0, 1)),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *run("after"),
)
SUSPENDS = scenario(
    "hsm.suspend",
    *vm_with_vcpus(),
    *call(0, sbi.RETENTIVE, 0, "suspend", function=sbi.HART_SUSPEND, extension=HSM, milliseconds=BLOCKED),
    ioctls.get_mp_state(0, "mp_state"),
)
# fmt: off
# Label, a0, a1, function, a0 and a1 that the guest gets. Hart 1 is RUNNABLE, and hart 2 is not.
ANSWERS = (
    ("status of a hart that runs", 1, 0, sbi.HART_STATUS, 0, sbi.HART_STARTED),
    ("status of a stopped hart", 2, 0, sbi.HART_STATUS, 0, sbi.HART_STOPPED),
    ("status of no hart", 9, 0, sbi.HART_STATUS, sbi.INVALID_PARAM, 0),
    ("start of a hart that runs", 1, STARTED_AT, sbi.HART_START, sbi.ALREADY_AVAILABLE, 0),
    ("start of no hart", 9, STARTED_AT, sbi.HART_START, sbi.INVALID_PARAM, 0),
    ("suspend without the hart's state", sbi.NON_RETENTIVE, STARTED_AT, sbi.HART_SUSPEND, sbi.NOT_SUPPORTED, 0),
    ("suspend of a reserved type", 1, STARTED_AT, sbi.HART_SUSPEND, sbi.INVALID_PARAM, 0),
    ("function that does not exist", 0, 0, 9, sbi.NOT_SUPPORTED, 0),
)
# fmt: on
REFUSES = scenario(
    "hsm.refused",
    *vm_with_vcpus(vcpus=3),
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    *(
        step
        for number, (label, a0, a1, function, *_) in enumerate(ANSWERS)
        for step in (next_call if number else call)(0, a0, a1, label, function=function, extension=HSM)
    ),
    *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in range(3)),
)


def begins(label, opaque):
    """Return the checks that hart 1 begins where it was started, with its number and what was passed."""
    return (
        Exits(ExitReason.MMIO, label),
        Holds("mmio.phys_addr", RETURNED_MMIO, label),
        Holds("mmio.data", opaque, label),
        RegisterHolds("a0", 1, label),
        RegisterHolds("a1", opaque, label),
    )


CLAIMS = claims(
    ExitClaim(
        "hsm.start",
        "HART_START causes no event: a hart that waits in KVM_RUN begins at the address given, with its number in a0.",
        asks=STARTS,
        gives=(
            *guest_continues("start"),
            RegisterHolds("a0", 0, "start"),
            *begins("started", OPAQUE),
            BufferHolds("mp_state started", MpState.RUNNABLE),
        ),
        source=SPECIFICATION,
    ),
    event_claim(
        "hsm.caller",
        "SBI SRST of a hart that HART_START started exits on that hart's kvm_run, and stops all harts.",
        asks=STARTS,
        event=(EventType.RESET, OPAQUE & 0xFFFF_FFFF),
        also=tuple(BufferHolds(f"mp_state {hart}", MpState.STOPPED) for hart in (0, 1)),
        source=SYSTEM_RESET,
    ),
    ExitClaim(
        "hsm.reboot",
        "After a RESET userspace makes hart 0 RUNNABLE, and the guest starts the other hart as it did at its boot.",
        asks=STARTS,
        gives=(
            *guest_continues("start again"),
            RegisterHolds("a0", 0, "start again"),
            *begins("started again", ANOTHER),
        ),
        source=SPECIFICATION,
    ),
    ExitClaim(
        "hsm.stop",
        "HART_STOP causes no event: the caller is STOPPED and its KVM_RUN blocks, and the other hart runs on.",
        asks=STOPS,
        gives=(
            Blocks("stop"),
            BufferHolds("mp_state 0", MpState.STOPPED),
            Blocks("stopped"),
            Counters("after the stop", "later", 2, running=True),
            Blocks("peer"),
            BufferHolds("mp_state 1", MpState.RUNNABLE),
        ),
        source=SPECIFICATION,
    ),
    ExitClaim(
        "hsm.stop.returns",
        "A hart that userspace makes RUNNABLE after HART_STOP goes on behind its call, with 0 in a0.",
        asks=STOPS,
        gives=(*guest_continues("after"), RegisterHolds("a0", 0, "after")),
        source="arch/riscv/kvm/vcpu_sbi_hsm.c, kvm_sbi_hsm_vcpu_stop; the specification lets the call not return",
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "hsm.suspend",
        "A retentive HART_SUSPEND causes no event: the hart sleeps in KVM_RUN, and stays RUNNABLE.",
        asks=SUSPENDS,
        gives=(Blocks("suspend"), BufferHolds("mp_state", MpState.RUNNABLE)),
        source=SPECIFICATION,
    ),
    ExitClaim(
        "hsm.refused",
        "HART_STATUS, and every call of HSM that KVM refuses, causes no event, and changes the state of no hart.",
        asks=REFUSES,
        gives=(
            *(check for label, *_ in ANSWERS for check in guest_continues(label)),
            BufferHolds("mp_state 0", MpState.RUNNABLE),
            BufferHolds("mp_state 1", MpState.RUNNABLE),
            BufferHolds("mp_state 2", MpState.STOPPED),
        ),
        source=SPECIFICATION,
    ),
    ExitClaim(
        "hsm.answers",
        "HSM answers a status with STARTED or STOPPED, and each wrong call with the error of its kind.",
        asks=REFUSES,
        gives=tuple(
            check
            for label, *_, a0, a1 in ANSWERS
            for check in (RegisterHolds("a0", a0, label), RegisterHolds("a1", a1, label))
        ),
        source=SPECIFICATION,
        level=Level.OBSERVED,
    ),
)


@CLAIMS.each
def test_hsm(check, claim):
    """Harts start, stop and sleep without an event; a hart that was started causes one as any other."""
    check(claim)
