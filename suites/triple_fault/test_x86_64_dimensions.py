"""Triple faults in the virtual machines that VMMs make: interrupt controllers, callers, peers, CPU modes.

Chosen as for Hyper-V's MSRs (suites/hyperv/test_x86_64_dimensions.py). Besides, KVM for SVM resets the vCPU at the
SHUTDOWN intercept, and with it a local APIC that lies in the kernel: no other vCPU may be reset or stopped by that, and
in every mode of its CPU the exit must be the same. The guest executes WRMSR of an MSR that does not exist, without an
IDT.
"""

from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits, NothingBeyond
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.x86_64 import TRIPLE_FAULT_DOC, caller_checks, peer_checks
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.x86_64 import NO_MSR
from sysevent.scenario.x86_64_machine import wrmsr_in

WHERE = (
    Configuration(irqchip="full"),
    Configuration(irqchip="split"),
    Configuration(cpu="real"),
    Configuration(cpu="paged"),
    Configuration(cpu="long"),
    Configuration(vcpus=2, caller=1, peers=Peers.RUNNING),
    Configuration(irqchip="full", vcpus=2, caller=1, peers=Peers.ASLEEP),
    Configuration(irqchip="split", vcpus=4, caller=3, peers=Peers.RUNNING),
    Configuration(irqchip="full", vcpus=4, caller=3, peers=Peers.UNSTARTED, cpu="long"),
)

CLAIMS = claims(
    *(
        ExitClaim(
            where.title("triple_fault"),
            "A triple fault exits as KVM_EXIT_SHUTDOWN, and changes no other vCPU.",
            asks=wrmsr_in(where, "triple_fault", NO_MSR, 0, again=False),
            gives=(
                Exits(ExitReason.SHUTDOWN),
                NothingBeyond(),
                *caller_checks(where),
                *peer_checks(where),
            ),
            source=TRIPLE_FAULT_DOC,
            abi="x86_64",
        )
        for where in WHERE
    ),
)


@CLAIMS.each
def test_dimensions(check, claim):
    """The exit is the same in every configuration, and concerns the caller alone."""
    check(claim)
