"""The MP state of a hart: what KVM_SET_MP_STATE takes, what KVM_GET_MP_STATE gives, and whether the hart runs.

A system event leaves every hart STOPPED, and a VMM makes them RUNNABLE again. Source: api.rst, KVM_SET_MP_STATE: the
only states are RUNNABLE and STOPPED; arch/riscv/kvm/vcpu.c, kvm_arch_vcpu_ioctl_set_mpstate.
"""

from sysevent.abi import sbi
from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import REASON, event_claim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Returns, Sleeps
from sysevent.contract.terms import Need
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import call, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import BLOCKED_MS, SETTLE_MS, Entry, Start, Wait, run

SET = "Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE: the only states are RUNNABLE and STOPPED"
RESET = Need("KVM_CAP_RISCV_MP_STATE_RESET", (6, 16), Capability.RISCV_MP_STATE_RESET.on_vm)
TAKEN = (MpState.STOPPED, MpState.RUNNABLE)
# Every state of other architectures, the first number without a meaning, and one with a bit above the others.
REFUSED = (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 0x8000_0005)
# Milliseconds for the KVM_RUN of a hart that is known to be STOPPED.
AGAIN_MS = 10

# Hart 1 takes each state after the other, the valid ones in between.
VALUES = scenario(
    "mp_state.values",
    *vm_with_vcpus(vcpus=2),
    *(ioctls.get_mp_state(hart, f"created {hart}") for hart in (0, 1)),
    *(
        step
        for state in (MpState.RUNNABLE, *REFUSED, MpState.STOPPED)
        for step in (
            ioctls.set_mp_state(1, state, f"set {state}"),
            ioctls.get_mp_state(1, f"got after {state}"),
        )
    ),
)
# Both harts are entered twice while they are STOPPED: hart 0 because userspace says so, hart 1 since its creation.
STOPS = scenario(
    "mp_state.stops",
    *vm_with_vcpus(vcpus=2),
    ioctls.set_mp_state(0, MpState.STOPPED),
    *(Entry("call", registers(sbi.COLD_REBOOT, REASON + hart), hart) for hart in (0, 1)),
    *(Start(hart) for hart in (0, 1)),
    Wait("hart 0", 0, SETTLE_MS),
    Wait("hart 1", 1, 1),
    *(Start(hart) for hart in (0, 1)),
    # Long, so that the CPU time of its beginning and end is little of it, on a busy machine as well.
    Wait("hart 0 again", 0, BLOCKED_MS),
    Wait("hart 1 again", 1, 1),
    *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in (0, 1)),
    *(
        step
        for hart in (1, 0)
        for step in (ioctls.set_mp_state(hart, MpState.RUNNABLE), *run(f"hart {hart} runs", hart))
    ),
)
# The KVM_RUN in which they block.
STOPS_BLOCKED = tuple(f"hart {hart}{again}" for hart in (0, 1) for again in ("", " again"))
# What a VMM does with the caller after an event, from v6.16 on.
RESETS = scenario(
    "mp_state.reset",
    *vm_with_vcpus(),
    ioctls.enable_cap("vm", Capability.RISCV_MP_STATE_RESET),
    *call(0, sbi.COLD_REBOOT, REASON),
    ioctls.set_mp_state(0, MpState.INIT_RECEIVED, "reset"),
    ioctls.get_mp_state(0, "mp_state"),
    *run("after", milliseconds=AGAIN_MS),
)

CLAIMS = claims(
    ExitClaim(
        "mp_state.created",
        "KVM creates hart 0 as RUNNABLE and every other hart as STOPPED.",
        asks=VALUES,
        gives=(BufferHolds("created 0", MpState.RUNNABLE), BufferHolds("created 1", MpState.STOPPED)),
        source="arch/riscv/kvm/vcpu.c, kvm_arch_vcpu_postcreate",
    ),
    ExitClaim(
        "mp_state.taken",
        "A hart takes RUNNABLE and STOPPED from KVM_SET_MP_STATE, and KVM_GET_MP_STATE gives it back.",
        asks=VALUES,
        gives=tuple(
            check
            for state in TAKEN
            for check in (Returns(f"set {state}"), BufferHolds(f"got after {state}", state))
        ),
        source=SET,
    ),
    ExitClaim(
        "mp_state.refused",
        "A hart refuses every other MP state with EINVAL, and keeps the one that it has.",
        asks=VALUES,
        gives=tuple(
            check
            for state in REFUSED
            for check in (
                Returns(f"set {state}", errno=Errno.EINVAL),
                BufferHolds(f"got after {state}", MpState.RUNNABLE),
            )
        ),
        source=SET,
    ),
    ExitClaim(
        "mp_state.stops",
        "A hart that is STOPPED does not run: KVM_RUN blocks, and does so again after a signal.",
        asks=STOPS,
        gives=(
            *map(Blocks, STOPS_BLOCKED),
            *(BufferHolds(f"mp_state {hart}", MpState.STOPPED) for hart in (0, 1)),
        ),
        source=f"{SET}, which says if the vCPU is paused",
    ),
    ExitClaim(
        "mp_state.sleeps",
        "A hart that is STOPPED sleeps in KVM_RUN: it uses no CPU time while it blocks.",
        asks=STOPS,
        gives=(*map(Blocks, STOPS_BLOCKED), Sleeps(STOPS_BLOCKED)),
        source="arch/riscv/kvm/vcpu.c, kvm_riscv_check_vcpu_requests",
    ),
    *(
        event_claim(
            f"mp_state.runs.{hart}",
            f"Hart {hart}, which was STOPPED, runs as soon as it is RUNNABLE, and causes its event.",
            asks=STOPS,
            event=(EventType.RESET, REASON + hart),
            label=f"hart {hart} runs",
            source=SET,
        )
        for hart in (0, 1)
    ),
    ExitClaim(
        "mp_state.reset",
        "With KVM_CAP_RISCV_MP_STATE_RESET the state INIT_RECEIVED resets a hart after an event, which stays STOPPED.",
        asks=RESETS,
        gives=(
            Returns("reset"),
            BufferHolds("mp_state", MpState.STOPPED),
            Blocks("after"),
            *(RegisterHolds(name, 0, "after") for name in ("pc", "a0", "a1", "a7")),
        ),
        source="Documentation/virt/kvm/api.rst, KVM_CAP_RISCV_MP_STATE_RESET",
        needs=(RESET,),
    ),
)


@CLAIMS.each
def test_mp_state(check, claim):
    """A hart is RUNNABLE or STOPPED, and nothing else; it runs only in the first state."""
    check(claim)
