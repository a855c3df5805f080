"""A vCPU after KVM_EXIT_SHUTDOWN: a VMM resets it, and it must run again.

The guest faults in each mode of its CPU, with paging off and on. Then userspace does what VMMs do: KVM_SET_SREGS and
KVM_SET_REGS with the state that the architecture defines for a reset, KVM_SET_VCPU_EVENTS without an event, and
KVM_SET_MP_STATE. At the reset vector lies an OUT, which must end the next KVM_RUN.

The modes: real, as firmware runs; protected mode, 32-bit paging and long mode, because KVM resets the root of its page
tables only if the guest's paging was on (arch/x86/kvm/x86.c, kvm_vcpu_reset); and System Management Mode, which KVM
must leave first.
"""

from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.x86_64 import SMM, guest_continues
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import LONG_CPUID, RESET_BASE, ROM, base_of, reset, set_mode

# Milliseconds for the OUT, which takes less than one. Short, because on kernels with the defect it never comes.
SOON = 50
SOURCE = (
    "AMD64 Architecture Programmer's Manual, volume 2, 14.1: the processor's state after a reset; "
    "arch/x86/kvm/svm/svm.c, shutdown_interception"
)
# In names and sentences of claims.
MODES = {
    "real": "in real mode",
    "protected": "in protected mode without paging",
    "paged": "in protected mode with paging",
    "long": "in long mode",
    "smm": "in System Management Mode",
}


def faults_and_is_reset(mode):
    """Return the scenario: UD2 without an IDT, the reset, and KVM_RUN again."""
    cpu = "" if mode == "protected" else mode
    return scenario(
        f"after_shutdown.{mode}",
        *vm_with_vcpus("triple_fault", cpuid=LONG_CPUID),
        *ROM,
        Entry("triple_fault", symbol="fault", base=base_of(cpu)),
        *set_mode(cpu),
        *run("exit"),
        *reset(),
        *run("again", milliseconds=SOON),
        configuration=Configuration(cpu=cpu),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            f"after_shutdown.{mode}",
            f"After a triple fault {words} a vCPU that userspace resets runs from the reset vector.",
            asks=faults_and_is_reset(mode),
            gives=(
                Exits(ExitReason.SHUTDOWN),
                *guest_continues("again"),
                RegisterHolds("cs.base", RESET_BASE, "again"),
            ),
            source=SOURCE,
            needs=(SMM,) if mode == "smm" else (),
            abi="x86_64",
        )
        for mode, words in MODES.items()
    ),
)


@CLAIMS.each
def test_after_shutdown(check, claim):
    """A vCPU that triple-faulted runs again after its reset."""
    check(claim)
