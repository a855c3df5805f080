"""A triple fault that userspace injects, in the virtual machines that VMMs make.

It comes by another way than that of a guest: KVM_SET_VCPU_EVENTS makes the request KVM_REQ_TRIPLE_FAULT, as KVM's own
exceptions do, and no intercept of the processor is involved. A VMM injects it into a guest that was migrated between
the two (KVM_CAP_X86_TRIPLE_FAULT_EVENT, v6.0).
"""

from sysevent.abi.capabilities import Capability
from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits, NothingBeyond
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.x86_64 import INJECT_DOC, SMM, TRIPLE_FAULT_EVENT, caller_checks, peer_checks
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import run
from sysevent.scenario.x86_64 import scenario
from sysevent.scenario.x86_64_machine import enter, look_at_peers, machine, start_peers
from sysevent.scenario.x86_64_state import inject_triple_fault

WHERE = (
    Configuration(cpu="smm"),
    Configuration(cpu="long"),
    Configuration(irqchip="split", vcpus=2, caller=1, peers=Peers.ASLEEP),
    Configuration(irqchip="full", vcpus=4, caller=3, peers=Peers.RUNNING),
)


def injected(where):
    """Return the scenario: the calling vCPU, whose next instruction is an OUT, gets a triple fault."""
    return scenario(
        where.title("triple_fault.injected"),
        *machine(where),
        ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 1),
        *start_peers(where),
        *enter(where, "wrmsr", symbol="returned"),
        inject_triple_fault("inject", vcpu=where.caller),
        *run("exit", where.caller),
        ioctls.get_mp_state(where.caller, "mp_state"),
        *(look_at_peers(where) if where.vcpus > 1 else ()),
        configuration=where,
    )


CLAIMS = claims(
    *(
        ExitClaim(
            where.title("triple_fault.injected"),
            "A triple fault that userspace injects exits as KVM_EXIT_SHUTDOWN, and changes no other vCPU.",
            asks=injected(where),
            gives=(
                Returns("inject"),
                Exits(ExitReason.SHUTDOWN),
                NothingBeyond(),
                *caller_checks(where),
                *peer_checks(where),
            ),
            source=INJECT_DOC,
            needs=(TRIPLE_FAULT_EVENT, SMM) if where.cpu == "smm" else (TRIPLE_FAULT_EVENT,),
            abi="x86_64",
        )
        for where in WHERE
    ),
)


@CLAIMS.each
def test_injected(check, claim):
    """The exit is the same in every configuration, and concerns the caller alone."""
    check(claim)
