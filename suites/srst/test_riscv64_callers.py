"""SBI system reset (SRST) from every hart, with and without an interrupt controller in the kernel.

A virtual machine has several harts, and any of them makes the call while the others run, sleep in WFI, or were never
started (call_among_peers() in src/sysevent/scenario/riscv64.py). The event must be the same, on the caller's kvm_run
and on no other, and afterwards no hart runs: neither one that sleeps and gets an interrupt, nor one that is entered for
the first time.

Chosen: every type of reset is asked from the second of 2 harts, because KVM handles each type in a branch of its own,
and with the controller, alone and from the last of 4. What the peers do is asked once for each way in which KVM leaves
them: asleep in the kernel, never entered. Type and reason have upper halves that KVM must ignore.
"""

from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import SYSTEM_EVENT
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits, NothingBeyond, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import ECALL, ENABLE, IRQCHIPS, REASON, RESET_TYPES, SYSTEM_RESET, event_claim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.contract.system_events import API
from sysevent.model import Level
from sysevent.scenario.aia import AIA
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.riscv64 import call_among_peers, others

SHUTDOWN, COLD, WARM = RESET_TYPES
WHERE = (
    *(
        (reset, where)
        for reset in RESET_TYPES
        for where in (
            Configuration(vcpus=2, caller=1, peers=Peers.RUNNING),
            Configuration(irqchip=AIA),
            Configuration(irqchip=AIA, vcpus=4, caller=3, peers=Peers.RUNNING),
        )
    ),
    (SHUTDOWN, Configuration(vcpus=4, caller=3, peers=Peers.ASLEEP)),
    (COLD, Configuration(vcpus=4, caller=3, peers=Peers.UNSTARTED)),
    (WARM, Configuration(vcpus=2, caller=0, peers=Peers.ASLEEP)),
    (COLD, Configuration(irqchip=AIA, vcpus=2, caller=1, peers=Peers.ASLEEP)),
)
# Above the 32 bits of type and reason.
UPPER_TYPE, UPPER_REASON = 0xA5 << 32, 0x5A << 56


def asked(reset, where):
    """Return the scenario."""
    return call_among_peers(f"srst.{reset.title}", where, reset.number | UPPER_TYPE, REASON | UPPER_REASON)


def stopped(where):
    """Return the checks that no hart runs: counters, blocked KVM_RUNs, MP states."""
    return (
        Counters("after the exit", "later", where.vcpus, running=False, caller=where.caller),
        Blocks("again"),
        *(Blocks(f"peer {hart}") for hart in others(where)),
        *(BufferHolds(f"mp_state {hart}", MpState.STOPPED) for hart in range(where.vcpus)),
    )


def no_byte(label):
    """Return the check that KVM wrote nothing into the union."""
    return Written((), label)


def who(where):
    """Return the caller and its machine, in words."""
    peers = f", the others {where.peers}," if where.peers else ""
    irqchip = " with an AIA in the kernel" if where.irqchip else ""
    return f"hart {where.caller} of {where.vcpus}{peers}{irqchip}"


CLAIMS = claims(
    *(
        event_claim(
            where.title(f"srst.{reset.title}"),
            f"SBI SRST {reset.words} by {who(where)} exits as {reset.event_name} with its reason; no hart runs on.",
            asks=asked(reset, where),
            event=(reset.event_type, REASON),
            also=stopped(where),
            source=f"{API}; {SYSTEM_RESET}",
            needs=IRQCHIPS[where.irqchip],
        )
        for reset, where in WHERE
    ),
    *(
        ExitClaim(
            where.title(f"srst.{reset.title}.untouched"),
            f"SBI SRST {reset.words} by {who(where)} leaves the caller's registers and PC, and the peers' kvm_run, as "
            "they were.",
            asks=asked(reset, where),
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Written((SYSTEM_EVENT,)),
                PcAt("call._start", "pc"),
                RegisterHolds("a0", reset.number | UPPER_TYPE),
                RegisterHolds("a1", REASON | UPPER_REASON),
                RegisterHolds("a2", 0x5E02),
                *(check(f"peer {hart}") for hart in others(where) for check in (no_byte, NothingBeyond)),
            ),
            source=f"{ECALL}; {SYSTEM_RESET}; before v6.3 KVM clears a1",
            needs=(ENABLE, *IRQCHIPS[where.irqchip]),
            level=Level.OBSERVED,
        )
        for reset, where in WHERE
        if where.vcpus > 1
    ),
)


@CLAIMS.each
def test_callers(check, claim):
    """SBI system reset gives the same event from every hart of every machine, and stops all harts."""
    check(claim)
