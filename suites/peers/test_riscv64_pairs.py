"""Two harts of a riscv64 guest: both call at once, one after the other, or one calls while the other blocks in KVM_RUN.

Each event comes on the kvm_run of its own caller, with its own type and reason, and nothing of it on the other's.
Hart 0 makes a cold reboot and hart 1 a shutdown, with different reasons. Source: arch/riscv/kvm/vcpu_sbi.c,
kvm_riscv_vcpu_sbi_system_reset; KVM_RUN blocks while a hart is STOPPED (arch/riscv/kvm/vcpu.c, KVM_REQ_SLEEP).
"""

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import IMMEDIATE_EXIT
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits, NothingBeyond, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import SYSTEM_RESET, event_claim, guest_continues
from sysevent.contract.scenario_checks import AtLeastOneEvent, Blocks, BufferHolds, Interrupted
from sysevent.contract.system_events import API, IMMEDIATE_EXIT_DOC
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import COUNTERS, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import Entry, SetRunBytes, Start, Wait, Watch, run

# Reasons of the two harts.
REASONS = (0x1111_0000, 0x2222_0001)
CALLS = (
    Entry("call", registers(sbi.COLD_REBOOT, REASONS[0]), 0),
    Entry("call", registers(sbi.SHUTDOWN, REASONS[1]), 1),
)
# Milliseconds for the KVM_RUN of a hart that must be STOPPED.
BLOCKED = 8


def pair(name, *steps):
    """Return the scenario: two RUNNABLE harts that are about to call, then the steps, then both MP states."""
    return scenario(
        f"pair.{name}",
        *vm_with_vcpus(vcpus=2),
        ioctls.set_mp_state(1, MpState.RUNNABLE),
        *CALLS,
        *steps,
        *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in (0, 1)),
    )


AT_ONCE = pair("at_once", Start(0), Start(1), Wait("hart 0", 0, 200), Wait("hart 1", 1, BLOCKED))
# Hart 1 counts when hart 0 calls. Userspace lets it call then, and hart 0 stays STOPPED.
SECOND = pair(
    "second",
    Entry("call", (0, COUNTERS + 8), 1, "spin"),
    Start(1),
    Watch(COUNTERS + 8),
    *run("hart 0", 0),
    Wait("peer", 1, 1),
    CALLS[1],
    Start(0),
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    *run("exit", 1),
    Wait("hart 0 blocks", 0, 1),
)
# Hart 0 is STOPPED, and in KVM_RUN, when hart 1 calls.
BLOCKED_PEER = pair(
    "blocked",
    ioctls.set_mp_state(0, MpState.STOPPED),
    Start(0),
    *run("exit", 1),
    Wait("peer", 0, BLOCKED),
)
# After the event of hart 1 both harts are entered three times.
KICKS = pair(
    "kicks",
    Entry("call", (0, COUNTERS), 0, "spin"),
    Start(0),
    Watch(COUNTERS),
    *run("exit", 1),
    Wait("peer 0", 0, 1),
    *(
        step
        for number in (1, 2, 3)
        for step in (
            Start(0),
            Start(1),
            Wait(f"caller {number}", 1, BLOCKED),
            Wait(f"peer {number}", 0, 1),
        )
    ),
    *(SetRunBytes(IMMEDIATE_EXIT.offset, b"\x01", hart) for hart in (0, 1)),
    *(step for hart in (0, 1) for step in run(f"immediate {hart}", hart)),
    # Past the call, with a0 as the guest shall find it. Hart 0 is left STOPPED.
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    Entry("call", (0x600D,), 1, "returned"),
    Start(0),
    *run("resumed", 1),
    Wait("peer 4", 0, 1),
)
STOPPED = tuple(BufferHolds(f"mp_state {hart}", MpState.STOPPED) for hart in (0, 1))

CLAIMS = claims(
    ExitClaim(
        "pair.at_once",
        "Of two harts that make different calls at once each has its own event, or is stopped before it calls.",
        asks=AT_ONCE,
        gives=(
            AtLeastOneEvent(
                (("hart 0", EventType.RESET, (REASONS[0],)), ("hart 1", EventType.SHUTDOWN, (REASONS[1],)))
            ),
            *STOPPED,
        ),
        source=SYSTEM_RESET,
    ),
    event_claim(
        "pair.second",
        "A hart that an event stopped, and userspace makes RUNNABLE, causes its own event; the first caller blocks.",
        asks=SECOND,
        event=(EventType.SHUTDOWN, REASONS[1]),
        also=(Exits(ExitReason.SYSTEM_EVENT, "hart 0"), Blocks("peer"), Blocks("hart 0 blocks"), *STOPPED),
        source=SYSTEM_RESET,
    ),
    event_claim(
        "pair.blocked",
        "A call while another hart, which is STOPPED, blocks in KVM_RUN exits on the caller alone.",
        asks=BLOCKED_PEER,
        event=(EventType.SHUTDOWN, REASONS[1]),
        also=(Blocks("peer"), *STOPPED),
        source=SYSTEM_RESET,
    ),
    ExitClaim(
        "pair.untouched",
        "KVM writes no byte of an event into the kvm_run of a hart that blocks.",
        asks=SECOND,
        gives=tuple(
            check
            for label in ("peer", "hart 0 blocks")
            for check in (Written((), label), NothingBeyond(label))
        ),
        source=SYSTEM_RESET,
        level=Level.OBSERVED,
    ),
    event_claim(
        "pair.kicks",
        "After an event KVM_RUN blocks on every hart again and again, however often a signal ends it.",
        asks=KICKS,
        event=(EventType.SHUTDOWN, REASONS[1]),
        also=(
            Blocks("peer 0"),
            *(Blocks(f"{who} {number}") for number in (1, 2, 3) for who in ("caller", "peer")),
        ),
        source=f"{SYSTEM_RESET}; arch/riscv/kvm/vcpu.c, KVM_REQ_SLEEP is requested again after a signal",
    ),
    ExitClaim(
        "pair.immediate_exit",
        "With immediate_exit KVM_RUN of a hart that an event stopped gives EINTR at once.",
        asks=KICKS,
        gives=(Interrupted("immediate 0"), Interrupted("immediate 1")),
        source=IMMEDIATE_EXIT_DOC,
    ),
    ExitClaim(
        "pair.resumed",
        "Userspace that makes the caller RUNNABLE resumes the caller alone: its peer stays STOPPED and blocks.",
        asks=KICKS,
        gives=(
            *guest_continues("resumed"),
            RegisterHolds("a0", 0x600D, "resumed"),
            Blocks("peer 4"),
            BufferHolds("mp_state 0", MpState.STOPPED),
            BufferHolds("mp_state 1", MpState.RUNNABLE),
        ),
        source=f"{API}; Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE",
    ),
)


@CLAIMS.each
def test_pairs(check, claim):
    """Every hart has its own event on its own kvm_run, and blocks after that of another."""
    check(claim)
