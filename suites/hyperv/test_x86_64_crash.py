"""A Hyper-V crash: its order with a reset that is pending at the same time, and its parameters.

The guest writes HV_X64_MSR_CRASH_CTL, which exits as a system event of type CRASH with no data. KVM checks for a
pending crash before a pending reset (arch/x86/kvm/x86.c, vcpu_enter_guest). The crash parameters are not in the exit:
a VMM reads them from HV_X64_MSR_CRASH_P0 to P4 with KVM_GET_MSRS.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.contract.x86_64 import ENTER, HYPERV, TLFS, guest_continues
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import (
    DEBUG_OFF,
    DEBUG_STEP,
    get_msrs,
    registers,
    scenario,
    set_msrs,
    vm_with_vcpus,
)

# The guest reports a crash.
CRASHES = Entry("wrmsr", registers(MSR_CRASH_CTL, CRASH_NOTIFY))
PARAMETERS = tuple(0xC0DE_0000_0000_0000 + n for n in range(5))
# The guest stopped after its WRMSR, and userspace could write the other MSR.
STEPPED = (Exits(ExitReason.DEBUG, "step"), Returns("set reset", 1))

CLAIMS = claims(
    ExitClaim(
        "pending.both",
        "If a crash and a reset are pending together, KVM_RUN exits for the crash first, the next KVM_RUN for the "
        "reset, and a third one for neither.",
        # The guest writes the crash MSR. Single-stepping ends KVM_RUN after the WRMSR and before its system event;
        # then userspace writes the reset MSR, so that both events are pending.
        asks=scenario(
            "pending.both",
            *vm_with_vcpus("wrmsr"),
            CRASHES,
            # After the Entry: KVM steps from the RIP of this moment (x86.c, kvm_arch_vcpu_ioctl_set_guest_debug).
            DEBUG_STEP,
            *run("step"),
            set_msrs("set reset", {MSR_RESET: 1}),
            DEBUG_OFF,
            *run("exit"),
            *run("second"),
            *run("third"),
        ),
        gives=(
            *STEPPED,
            *system_event(EventType.CRASH),
            *system_event(EventType.RESET, label="second"),
            *guest_continues("third"),
        ),
        before_5_18=(
            *STEPPED,
            *old_system_event(EventType.CRASH),
            *old_system_event(EventType.RESET, label="second"),
            *guest_continues("third"),
        ),
        source=f"{ENTER}: KVM_REQ_HV_CRASH stands before KVM_REQ_HV_RESET",
        needs=(HYPERV,),
    ),
    ExitClaim(
        "crash.parameters",
        "The parameters of a crash are in HV_X64_MSR_CRASH_P0 to P4, not in the exit.",
        asks=scenario(
            "crash.parameters",
            *vm_with_vcpus("wrmsr"),
            set_msrs("set", {MSR_CRASH_P0 + n: value for n, value in enumerate(PARAMETERS)}),
            CRASHES,
            *run("exit"),
            get_msrs("get", *(MSR_CRASH_P0 + n for n in range(5))),
        ),
        gives=(
            Returns("set", 5),
            Exits(ExitReason.SYSTEM_EVENT),
            Holds("type", EventType.CRASH),
            Returns("get", 5),
            *(BufferHolds("get", value, 16 + 16 * n, 8) for n, value in enumerate(PARAMETERS)),
        ),
        source=f"{TLFS}; Documentation/virt/kvm/api.rst, KVM_GET_MSRS",
        needs=(HYPERV,),
    ),
)


@CLAIMS.each
def test_crash(check, claim):
    """A crash exits before a reset, and its parameters are in their MSRs."""
    check(claim)
