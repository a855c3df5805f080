"""KVM_RUN on arm64 when userspace enters it again after a system event.

The guest makes a PSCI call, and the VMM calls KVM_RUN again. After SYSTEM_OFF, SYSTEM_RESET, SYSTEM_RESET2 and
SYSTEM_OFF2 it blocks, because KVM stopped the vCPU (arch/arm64/kvm/psci.c, kvm_prepare_system_event), until userspace
makes the vCPU RUNNABLE or initializes it with KVM_ARM_VCPU_INIT. After SYSTEM_SUSPEND the guest continues. With
immediate_exit set, KVM_RUN returns EINTR before the guest runs, and the event is not lost.
"""

from sysevent.abi.events import EventType, ResetFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.kvm_run import EXIT_REASON, IMMEDIATE_EXIT
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import INTERNAL_FAILURE, Function
from sysevent.contract.arm64 import BY_TITLE, CAP_SUSPEND, FINAL, RESET2, STOPS, SUSPEND, guest_continues
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Interrupted, Returns
from sysevent.contract.system_events import IMMEDIATE_EXIT_DOC, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import COOKIE, registers, scenario, vcpu_init, vm_with_vcpus
from sysevent.scenario.steps import SETTLE_MS, Entry, Ioctl, SetRunBytes, poisoned, run


def entered_again(call):
    """Return the scenario: KVM_RUN again after the event, and again after userspace made the vCPU RUNNABLE."""
    return scenario(
        f"reentry.{call.title}",
        *vm_with_vcpus(),
        *call.setup,
        Entry("call", registers(*call.registers)),
        *run("exit"),
        *run("again", milliseconds=SETTLE_MS),
        ioctls.set_mp_state(0, MpState.RUNNABLE),
        *run("resumed"),
    )


def initialized_again(call):
    """Return the scenario of a VMM that resets the vCPU: KVM_ARM_VCPU_INIT after the event, then SYSTEM_OFF."""
    return scenario(
        f"reinit.{call.title}",
        *vm_with_vcpus(),
        *call.setup,
        Entry("call", registers(*call.registers)),
        *run("exit"),
        Ioctl(0, Request.ARM_VCPU_INIT, buffer=vcpu_init(), label="init"),
        ioctls.get_mp_state(0, "mp_state"),
        Entry("call", registers(Function.SYSTEM_OFF)),
        *run("second"),
    )


# KVM_RUN with immediate_exit set, and KVM_RUN without.
IMMEDIATE = scenario(
    "immediate_exit",
    *vm_with_vcpus(),
    Entry("call", registers(Function.SYSTEM_RESET2, 0, COOKIE)),
    SetRunBytes(IMMEDIATE_EXIT.offset, b"\x01"),
    *run("nothing"),
    *run("exit"),
)
# KVM_ARM_VCPU_INIT after the event succeeded, and made the vCPU RUNNABLE.
RUNNABLE_AGAIN = (Exits(ExitReason.SYSTEM_EVENT), Returns("init"), BufferHolds("mp_state", MpState.RUNNABLE))

CLAIMS = claims(
    *(
        ExitClaim(
            f"reentry.{call.title}",
            f"After {call.words} KVM_RUN blocks until userspace declares the vCPU runnable; then the guest goes on "
            "behind the call with INTERNAL_FAILURE (-6) in x0.",
            asks=entered_again(call),
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Blocks("again"),
                *guest_continues(INTERNAL_FAILURE, "resumed"),
            ),
            source=STOPS,
            needs=call.needs,
        )
        for call in FINAL
    ),
    ExitClaim(
        "reentry.suspend",
        "After SYSTEM_SUSPEND KVM_RUN goes on behind the call, with x0 as userspace left it.",
        asks=entered_again(SUSPEND),
        gives=(Exits(ExitReason.SYSTEM_EVENT), *guest_continues(Function.SYSTEM_SUSPEND, "again")),
        source="Documentation/virt/kvm/api.rst, KVM_SYSTEM_EVENT_SUSPEND",
        needs=(CAP_SUSPEND,),
    ),
    *(
        ExitClaim(
            f"reinit.{call.title}",
            f"KVM_ARM_VCPU_INIT after {call.words} makes a runnable vCPU, whose next event has its own type and data.",
            asks=initialized_again(call),
            gives=(*RUNNABLE_AGAIN, *system_event(EventType.SHUTDOWN, 0, label="second")),
            before_5_18=(*RUNNABLE_AGAIN, *old_system_event(EventType.SHUTDOWN, 0, label="second")),
            source="Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT",
            needs=call.needs,
        )
        for call in (BY_TITLE["off"], BY_TITLE["reset2"])
    ),
    ExitClaim(
        "immediate_exit",
        "With immediate_exit KVM_RUN gives EINTR and runs nothing; the event comes at the next KVM_RUN.",
        asks=IMMEDIATE,
        gives=(Interrupted("nothing"), *system_event(EventType.RESET, ResetFlag.PSCI_RESET2)),
        before_5_18=(Interrupted("nothing"), *old_system_event(EventType.RESET, ResetFlag.PSCI_RESET2)),
        source=IMMEDIATE_EXIT_DOC,
        needs=(RESET2,),
    ),
    ExitClaim(
        "immediate_exit.reason",
        "KVM_RUN that ends for immediate_exit writes no exit reason, so userspace must not read one.",
        asks=IMMEDIATE,
        gives=(Interrupted("nothing"), Holds("exit_reason", poisoned(EXIT_REASON.size), "nothing")),
        source="arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run",
        level=Level.OBSERVED,
    ),
)


@CLAIMS.each
def test_reentry(check, claim):
    """KVM_RUN blocks after a final event, goes on after a suspend, and runs nothing with immediate_exit."""
    check(claim)
