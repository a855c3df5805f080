"""What userspace does between a guest's exits must not lose an event: sequences that `sysevent explore` has found.

Kernels that were wrong in one of them alone followed every other claim. Source: arch/x86/kvm/hyperv.c and x86.c.
"""

from sysevent.abi.events import EventType
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.contract.x86_64 import HYPERV, TLFS, guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import registers, scenario, set_msrs, vm_with_vcpus

PARAMETER = 0xC0DE_0000_0000_0001
RESTORED = scenario(
    "hyperv.crash.restored",
    *vm_with_vcpus("wrmsr"),
    set_msrs("restored", {MSR_CRASH_CTL: CRASH_NOTIFY, MSR_CRASH_P0: PARAMETER}),
    Entry("wrmsr", registers(MSR_CRASH_CTL, CRASH_NOTIFY)),
    *run("exit"),
    *run("second"),
    *run("again"),
)
# The guest writes to the MSR once more as soon as its OUT is complete; if that was lost, the OUT comes again.
COMPLETED = scenario(
    "hyperv.reset.after_out",
    *vm_with_vcpus("wrmsr"),
    Entry("wrmsr", registers(MSR_RESET, 1)),
    *run("first"),
    *run("out"),
    ioctls.set_mp_state(0, MpState.RUNNABLE),
    *run("exit"),
)

CLAIMS = claims(
    ExitClaim(
        "hyperv.crash.restored",
        "A guest whose crash MSRs userspace has restored can crash: its write to HV_X64_MSR_CRASH_CTL exits as CRASH, "
        "each time.",
        asks=RESTORED,
        gives=(
            Returns("restored", 2),
            *system_event(EventType.CRASH),
            *guest_continues("second"),
            *system_event(EventType.CRASH, label="again"),
        ),
        before_5_18=(
            Returns("restored", 2),
            *old_system_event(EventType.CRASH),
            *guest_continues("second"),
            *old_system_event(EventType.CRASH, label="again"),
        ),
        source=f"{TLFS}; arch/x86/kvm/hyperv.c, kvm_hv_set_msr_pw, kvm_hv_msr_set_crash_ctl",
        needs=(HYPERV,),
        abi="x86_64",
    ),
    ExitClaim(
        "hyperv.reset.after_out",
        "A guest's OUT is complete with the next KVM_RUN, also if userspace makes the vCPU RUNNABLE before: the "
        "guest's next write to HV_X64_MSR_RESET exits as RESET.",
        asks=COMPLETED,
        gives=(
            *system_event(EventType.RESET, label="first"),
            *guest_continues("out"),
            *system_event(EventType.RESET),
        ),
        before_5_18=(
            *old_system_event(EventType.RESET, label="first"),
            *guest_continues("out"),
            *old_system_event(EventType.RESET),
        ),
        source="Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_MMIO: the operations are complete after "
        "KVM_RUN is entered again; arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_run, complete_userspace_io",
        needs=(HYPERV,),
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_sequence(check, claim):
    """Each write of the guest causes its event."""
    check(claim)
