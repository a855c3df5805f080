"""The other vCPUs of an arm64 guest when one of them causes a system event.

vCPU 0 makes a PSCI call while its peers count in a loop. After SYSTEM_OFF, SYSTEM_RESET, SYSTEM_RESET2 or SYSTEM_OFF2
KVM stops all vCPUs: no counter changes, no KVM_RUN returns, and all MP states are STOPPED (arch/arm64/kvm/psci.c,
kvm_prepare_system_event). After SYSTEM_SUSPEND (since v5.19) KVM stops none.
"""

from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.contract.arm64 import CAP_SUSPEND, FINAL, STOPS, SUSPEND
from sysevent.contract.checks import Exits, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import COUNTERS, registers, scenario, vm_with_vcpus
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import SETTLE_MS, Entry, Read, Sleep, Start, Wait, Watch, run


def with_peers(call, count):
    """Return the scenario: peers count, vCPU 0 makes the call, then counters are read twice, and each MP state.

    Each peer increments its own counter; Watch waits until it has begun. At the end every KVM_RUN of a peer is waited
    for, for a millisecond.
    """
    peers = range(1, count)
    return scenario(
        f"peers.{call.title}.{count}",
        *vm_with_vcpus(vcpus=count),
        *call.setup,
        *(Entry("call", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers),
        *(Start(peer) for peer in peers),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted at first"),
        Entry("call", registers(*call.registers)),
        *run("exit"),
        # KVM waits until every peer has left the guest, before it returns (KVM_REQ_SLEEP has KVM_REQUEST_WAIT).
        Read(COUNTERS, 8 * count, "counted after the exit"),
        Sleep(SETTLE_MS),
        Read(COUNTERS, 8 * count, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers),
        configuration=Configuration(vcpus=count, peers=Peers.RUNNING),
    )


SUSPENDS = {count: with_peers(SUSPEND, count) for count in (2, 4)}

CLAIMS = claims(
    *(
        ExitClaim(
            f"peers.{call.title}.{count}",
            f"After {call.words} none of {count} vCPUs runs: all are STOPPED, none leaves KVM_RUN by itself, and no "
            "peer's kvm_run is written.",
            asks=with_peers(call, count),
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Counters("counted after the exit", "counted later", count, running=False),
                *(
                    check
                    for peer in range(1, count)
                    for check in (Blocks(f"peer {peer}"), Written((), f"peer {peer}"))
                ),
                *(BufferHolds(f"mp_state {vcpu}", MpState.STOPPED) for vcpu in range(count)),
            ),
            source=STOPS,
            needs=call.needs,
        )
        for call in FINAL
        for count in (2, 4)
    ),
    *(
        ExitClaim(
            f"peers.suspend.{count}",
            f"After SYSTEM_SUSPEND all of {count} vCPUs are RUNNABLE: it is userspace that decides.",
            asks=asks,
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                *(BufferHolds(f"mp_state {vcpu}", MpState.RUNNABLE) for vcpu in range(count)),
            ),
            source="Documentation/virt/kvm/api.rst, KVM_SYSTEM_EVENT_SUSPEND",
            needs=(CAP_SUSPEND,),
        )
        for count, asks in SUSPENDS.items()
    ),
    ExitClaim(
        "peers.suspend.running",
        "SYSTEM_SUSPEND does not stop peers that run.",
        asks=SUSPENDS[2],
        gives=(
            Exits(ExitReason.SYSTEM_EVENT),
            Counters("counted after the exit", "counted later", 2, running=True),
        ),
        source="arch/arm64/kvm/psci.c, kvm_psci_system_suspend",
        needs=(CAP_SUSPEND,),
        level=Level.OBSERVED,
    ),
)


@CLAIMS.each
def test_peers(check, claim):
    """Every call but SYSTEM_SUSPEND stops every vCPU."""
    check(claim)
