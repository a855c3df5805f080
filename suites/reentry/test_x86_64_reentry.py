"""KVM_RUN on x86 when userspace enters it again after a system event.

The guest writes a Hyper-V MSR, and the VMM calls KVM_RUN again: the guest continues after its WRMSR, and the event does
not repeat (arch/x86/kvm/x86.c, vcpu_enter_guest). With immediate_exit set, KVM_RUN returns EINTR before the guest runs,
and the event is not lost.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import MSR_RESET
from sysevent.abi.kvm_run import IMMEDIATE_EXIT
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Interrupted
from sysevent.contract.system_events import IMMEDIATE_EXIT_DOC, old_system_event, system_event
from sysevent.contract.x86_64 import ENTER, HYPERV, MSRS, guest_continues
from sysevent.scenario.steps import Entry, SetRunBytes, run
from sysevent.scenario.x86_64 import registers, scenario, vm_with_vcpus


def entered_again(msr):
    """Return the scenario: KVM_RUN again after the event."""
    return scenario(
        f"reentry.{msr.title}",
        *vm_with_vcpus("wrmsr"),
        Entry("wrmsr", registers(msr.index, msr.value)),
        *run("exit"),
        *run("again"),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            f"reentry.{msr.title}",
            f"After {msr.words} KVM_RUN continues the guest, and the event does not repeat.",
            asks=entered_again(msr),
            gives=(Exits(ExitReason.SYSTEM_EVENT), *guest_continues("again")),
            source=ENTER,
            needs=(HYPERV,),
        )
        for msr in MSRS
    ),
    ExitClaim(
        "immediate_exit",
        "With immediate_exit KVM_RUN gives EINTR and runs nothing; the event comes at the next KVM_RUN.",
        asks=scenario(
            "immediate_exit",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_RESET, 1)),
            SetRunBytes(IMMEDIATE_EXIT.offset, b"\x01"),
            *run("nothing"),
            *run("exit"),
        ),
        gives=(Interrupted("nothing"), *system_event(EventType.RESET)),
        before_5_18=(Interrupted("nothing"), *old_system_event(EventType.RESET)),
        source=IMMEDIATE_EXIT_DOC,
        needs=(HYPERV,),
    ),
)


@CLAIMS.each
def test_reentry(check, claim):
    """The guest continues and the event does not repeat; with immediate_exit the guest does not run."""
    check(claim)
