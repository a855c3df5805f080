"""Hyper-V's reset and crash in the virtual machines that VMMs make: interrupt controllers, callers, peers, CPU modes.

The configurations are those in which other code of KVM answers, not all combinations of their values:
- With a local APIC in the kernel ("full", "split") KVM keeps the MP state of vCPUs and carries out HLT, and all vCPUs
  but the first wait for another one to start them.
- Another caller than vCPU 0: every vCPU has its own requests and its own kvm_run; Hyper-V's state is that of the VM.
- Peers that run, that are HALTED within KVM_RUN, and that were never entered: an event must leave all of them, and
  their kvm_run, as they are.
- Modes of the CPU: WRMSR is intercepted in all of them. kvm_run.flags says whether it was System Management Mode.
"""

from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.x86_64 import ENTER, HYPERV, MSRS, SMM, caller_checks, guest_continues, peer_checks
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.x86_64_machine import wrmsr_in

WHERE = (
    Configuration(irqchip="full"),
    Configuration(irqchip="split"),
    Configuration(cpu="real"),
    Configuration(cpu="paged"),
    Configuration(cpu="long"),
    Configuration(cpu="smm"),
    Configuration(vcpus=2, caller=1, peers=Peers.RUNNING),
    Configuration(vcpus=4, caller=3, peers=Peers.UNSTARTED),
    Configuration(irqchip="full", vcpus=2, caller=1, peers=Peers.ASLEEP),
    Configuration(irqchip="split", vcpus=4, caller=3, peers=Peers.ASLEEP),
    Configuration(irqchip="full", vcpus=4, caller=3, peers=Peers.RUNNING),
    Configuration(irqchip="full", vcpus=4, caller=3, peers=Peers.UNSTARTED, cpu="long"),
)


def others(where):
    """Return the checks of what the event must not change, and that the guest goes on."""
    return (*caller_checks(where), *peer_checks(where), *guest_continues("again"))


CLAIMS = claims(
    *(
        ExitClaim(
            where.title(f"hyperv.{msr.title}"),
            f"A guest's write to {msr.words} exits as {msr.event_name} with no data, and changes no other vCPU.",
            asks=wrmsr_in(where, f"hyperv.{msr.title}", msr.index, msr.value),
            gives=(*system_event(msr.event_type), *others(where)),
            before_5_18=(*old_system_event(msr.event_type), *others(where)),
            source=f"{API}; {ENTER}, KVM_REQ_HV_{msr.event_name}",
            needs=(HYPERV, SMM) if where.cpu == "smm" else (HYPERV,),
            # The kernel's code is the same for a VMM built for i386.
            abi="x86_64",
        )
        for where in WHERE
        for msr in MSRS
    ),
)


@CLAIMS.each
def test_dimensions(check, claim):
    """The event is the same in every configuration, and concerns the caller alone."""
    check(claim)
