"""Events that are pending together stay pending: a sequence that `sysevent explore` has found to matter.

Kernels that were wrong in it alone followed every other claim. Source: arch/x86/kvm/x86.c.
"""

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import MSR_CRASH_P0, MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.system_events import system_event
from sysevent.contract.x86_64 import HYPERV, TRIPLE_FAULT_EVENT, guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import registers, scenario, set_msrs, vm_with_vcpus
from sysevent.scenario.x86_64_state import inject_triple_fault

CLAIMS = claims(
    ExitClaim(
        "pending.fault_and_reset",
        "If userspace has requested a triple fault and a reset, KVM_RUN exits for the fault first, and the next one "
        "for the reset, also if userspace makes the vCPU RUNNABLE before.",
        asks=scenario(
            "pending.fault_and_reset",
            *vm_with_vcpus("wrmsr"),
            ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 1),
            Entry("wrmsr", registers(MSR_CRASH_P0, 1)),
            inject_triple_fault("inject"),
            set_msrs("set reset", {MSR_RESET: 1}),
            ioctls.set_mp_state(0, MpState.RUNNABLE),
            *run("fault"),
            *run("exit"),
            *run("third"),
        ),
        gives=(
            Returns("inject"),
            Returns("set reset", 1),
            Exits(ExitReason.SHUTDOWN, "fault"),
            *system_event(EventType.RESET),
            *guest_continues("third"),
        ),
        source="arch/x86/kvm/x86.c, vcpu_enter_guest: KVM_REQ_TRIPLE_FAULT stands before KVM_REQ_HV_RESET",
        needs=(HYPERV, TRIPLE_FAULT_EVENT),
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_sequence(check, claim):
    """Each event comes, in the order of the kernel."""
    check(claim)
