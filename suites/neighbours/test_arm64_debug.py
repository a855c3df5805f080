"""KVM_EXIT_DEBUG on arm64 has the hazard of system_event too: hsr_high is in former padding (since v5.19).

The guest executes a BRK, and then PSCI SYSTEM_OFF. The VMM, which enabled software breakpoints, reads a DEBUG exit with
hsr, hsr_high, and bit 0 of kvm_run.flags, which makes hsr_high valid (api.rst, KVM_EXIT_DEBUG; 18f3976fdb5d). At the
system event afterwards the bit must be clear.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.contract.arm64 import HSR_HIGH
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import system_event
from sysevent.scenario.arm64 import DEBUG

CLAIMS = claims(
    ExitClaim(
        "debug.break",
        "A software breakpoint exits as DEBUG with hsr of a BRK, hsr_high 0, and the flag that makes it valid.",
        asks=DEBUG,
        gives=(
            Exits(ExitReason.DEBUG, "debug"),
            Holds("debug.hsr", 0xF200_0000, "debug"),
            Holds("debug.hsr_high", 0, "debug"),
            Holds("run.flags", 1, "debug"),
        ),
        source="Documentation/virt/kvm/api.rst, KVM_EXIT_DEBUG; 18f3976fdb5d, KVM: arm64: uapi: Add "
        "kvm_debug_exit_arch.hsr_high, v5.19",
        needs=(HSR_HIGH,),
    ),
    ExitClaim(
        "debug.event",
        "At the system event after a breakpoint the flag for hsr_high is gone, and the event is whole.",
        asks=DEBUG,
        gives=(Exits(ExitReason.DEBUG, "debug"), *system_event(EventType.SHUTDOWN, 0), Holds("run.flags", 0)),
        source="Documentation/virt/kvm/api.rst, kvm_run, flags; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run",
        needs=(HSR_HIGH,),
    ),
)


@CLAIMS.each
def test_hsr_high(check, claim):
    """The exit that has hsr_high sets the flag for it, and the next exit clears the flag."""
    check(claim)
