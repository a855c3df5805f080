"""A Hyper-V crash beside a reset that is pending, and where its parameters are."""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_CRASH_P0, MSR_RESET
from sysevent.abi.ioctls import Request
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.contract.x86_64 import ENTER, HYPERV, TLFS, guest_continues
from sysevent.scenario.steps import Entry, Ioctl, run
from sysevent.scenario.x86_64 import DEBUG_OFF, DEBUG_STEP, msrs, registers, scenario, vm_with_vcpus

CRASHES = Entry("wrmsr", registers(MSR_CRASH_CTL, CRASH_NOTIFY))
PARAMETERS = tuple(0xC0DE_0000_0000_0000 + n for n in range(5))
STEPPED = (Exits(ExitReason.DEBUG, "step"), Returns("set reset", 1))

CLAIMS = claims(
    ExitClaim(
        "pending.both",
        "Of a crash and a reset that are pending together the crash is told first, the reset at the next KVM_RUN, "
        "and then neither again.",
        # Single-stepping ends KVM_RUN between the guest's WRMSR and the exit that it asked for.
        asks=scenario(
            "pending.both",
            *vm_with_vcpus("wrmsr"),
            CRASHES,
            # After the entry: KVM steps from the RIP it saw here (x86.c, kvm_arch_vcpu_ioctl_set_guest_debug).
            DEBUG_STEP,
            *run("step"),
            Ioctl(0, Request.SET_MSRS, buffer=msrs({MSR_RESET: 1}), label="set reset"),
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
            Ioctl(
                0,
                Request.SET_MSRS,
                buffer=msrs({MSR_CRASH_P0 + n: value for n, value in enumerate(PARAMETERS)}),
                label="set",
            ),
            CRASHES,
            *run("exit"),
            Ioctl(0, Request.GET_MSRS, buffer=msrs({MSR_CRASH_P0 + n: 0 for n in range(5)}), label="get"),
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
    """A crash comes before a reset, and its parameters stay in their MSRs."""
    check(claim)
