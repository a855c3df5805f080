"""The other vCPUs of an x86 guest when one of them causes a system event.

vCPU 0 writes a Hyper-V MSR while its peers count in a loop. KVM stops no vCPU: counters still change, and all MP states
are RUNNABLE. No document promises it; arch/x86/kvm/x86.c, vcpu_enter_guest, does nothing else.
"""

from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Counters
from sysevent.contract.x86_64 import ENTER, HYPERV, MSRS
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import Entry, Read, Start, Wait, Watch, run
from sysevent.scenario.x86_64 import COUNTERS, registers, scenario, vm_with_vcpus


def with_peers(msr, count):
    """Return the scenario: peers count, vCPU 0 writes the MSR, then counters are read twice, and each MP state.

    Each peer increments its own counter; Watch waits until it has begun, or has gone on.
    """
    peers = range(1, count)
    return scenario(
        f"peers.{msr.title}.{count}",
        *vm_with_vcpus("wrmsr", vcpus=count),
        *(Entry("wrmsr", (0, COUNTERS + 8 * peer), peer, "spin") for peer in peers),
        *(Start(peer) for peer in peers),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted at first"),
        Entry("wrmsr", registers(msr.index, msr.value)),
        *run("exit"),
        Read(COUNTERS, 8 * count, "counted after the exit"),
        *(Watch(COUNTERS + 8 * peer) for peer in peers),
        Read(COUNTERS, 8 * count, "counted later"),
        ioctls.get_mp_state(0, "mp_state 0"),
        *(Wait(f"peer {peer}", peer, 1) for peer in peers),
        *(ioctls.get_mp_state(peer, f"mp_state {peer}") for peer in peers),
        configuration=Configuration(vcpus=count, peers=Peers.RUNNING),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            f"peers.{msr.title}.{count}",
            f"After {msr.words} all of {count} vCPUs are RUNNABLE, and peers run on.",
            asks=with_peers(msr, count),
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Counters("counted after the exit", "counted later", count, running=True),
                *(BufferHolds(f"mp_state {vcpu}", MpState.RUNNABLE) for vcpu in range(count)),
            ),
            source=f"{ENTER}: nothing stops a vCPU",
            needs=(HYPERV,),
            level=Level.OBSERVED,
        )
        for msr in MSRS
        for count in (2, 4)
    ),
)


@CLAIMS.each
def test_peers(check, claim):
    """An event on x86 stops no vCPU."""
    check(claim)
