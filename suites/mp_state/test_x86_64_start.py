"""How a vCPU of x86 starts in the state SIPI_RECEIVED.

KVM_SET_MP_STATE with SIPI_RECEIVED is how a migrated CPU gets a SIPI that was on its way; its vector comes by
KVM_SET_VCPU_EVENTS.
"""

from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.x86_64 import guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import Memory, Write, run
from sysevent.scenario.x86_64 import scenario
from sysevent.scenario.x86_64_machine import machine
from sysevent.scenario.x86_64_state import OUT, set_events

WHERE = Configuration(irqchip="full", vcpus=2, caller=1)
SET_DOC = (
    "Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE; arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_set_mpstate"
)
# The page on which the CPU begins after SIPI.
VECTOR = 9
START = VECTOR << 12


CLAIMS = claims(
    ExitClaim(
        "mp_state.sipi",
        "A vCPU that is put into SIPI_RECEIVED begins in real mode on the page of the SIPI's vector.",
        asks=scenario(
            "mp_state.sipi",
            *machine(WHERE),
            Memory(START, 0x1000, 1),
            Write(START, OUT),
            set_events(1, sipi_vector=VECTOR),
            ioctls.set_mp_state(1, MpState.SIPI_RECEIVED, "sipi"),
            *run("exit", 1),
            ioctls.get_mp_state(1, "mp_state"),
            configuration=WHERE,
        ),
        gives=(
            Returns("sipi"),
            *guest_continues(),
            RegisterHolds("cs.base", START),
            RegisterHolds("cs.selector", START >> 4),
            BufferHolds("mp_state", MpState.RUNNABLE),
        ),
        source=f"{SET_DOC}; arch/x86/kvm/lapic.c, kvm_apic_accept_events",
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_start(check, claim):
    """A vCPU begins where its SIPI says."""
    check(claim)
