"""The other harts of a riscv64 guest when one of them causes a system event.

Hart 0 calls SBI system reset (SRST) while its peers count in a loop. KVM stops all harts: no counter changes, no
KVM_RUN returns, and all MP states are STOPPED (arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_system_reset).
"""

from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import REASON, RESET_TYPES, SYSTEM_RESET
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.riscv64 import COUNTERS, registers, scenario, vm_with_vcpus
from sysevent.scenario.steps import SETTLE_MS, Entry, Read, Sleep, Start, Wait, Watch, run


def with_peers(reset, count):
    """Return the scenario: peers count, hart 0 makes the call, then counters are read twice, and each MP state.

    All harts but hart 0 start as STOPPED, so userspace makes them RUNNABLE first. Each increments its own counter;
    Watch waits until it has begun. At the end every KVM_RUN of a peer is waited for, for a millisecond.
    """
    peers = range(1, count)
    return scenario(
        f"peers.{reset.title}.{count}",
        *vm_with_vcpus(vcpus=count),
        *(ioctls.set_mp_state(peer, MpState.RUNNABLE) for peer in peers),
        *(Entry("call", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers),
        *(Start(peer) for peer in peers),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted at first"),
        Entry("call", registers(reset.number, REASON)),
        *run("exit"),
        Sleep(SETTLE_MS),
        Read(COUNTERS, 8 * count, "counted after the exit"),
        Sleep(SETTLE_MS),
        Read(COUNTERS, 8 * count, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers),
        configuration=Configuration(vcpus=count, peers=Peers.RUNNING),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            f"peers.{reset.title}.{count}",
            f"After SBI SRST {reset.words} none of {count} harts runs: all are STOPPED, and none leaves KVM_RUN by "
            "itself.",
            asks=with_peers(reset, count),
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Counters("counted after the exit", "counted later", count, running=False),
                *(Blocks(f"peer {peer}") for peer in range(1, count)),
                *(BufferHolds(f"mp_state {hart}", MpState.STOPPED) for hart in range(count)),
            ),
            source=f"{SYSTEM_RESET}; RISC-V SBI specification, SRST: the call does not return",
        )
        for reset in RESET_TYPES
        for count in (2, 4)
    ),
)


@CLAIMS.each
def test_peers(check, claim):
    """SBI system reset stops every hart."""
    check(claim)
