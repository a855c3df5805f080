"""A vCPU of x86 that sleeps, and another one that wakes it up by the hypercall KVM_HC_KICK_CPU.

Linux guests wait for a spinlock in HLT, and the CPU that releases it wakes them up (KVM_FEATURE_PV_UNHALT). KVM notes
the kick at the vCPU, which may not be in KVM_RUN at that time: then KVM_GET_MP_STATE says RUNNABLE, so that a vCPU that
is migrated runs on. Source: Documentation/virt/kvm/x86/hypercalls.rst; 6aef266c6e17, v3.12.
"""

from sysevent.abi.mp_state import MpState
from sysevent.abi.x86_64 import HC_KICK_CPU
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds
from sysevent.contract.x86_64 import guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import SETTLE_MS, Entry, run
from sysevent.scenario.x86_64 import BARE_CPUID, scenario
from sysevent.scenario.x86_64_machine import machine

WHERE = Configuration(irqchip="full", vcpus=6)
# The state of each vCPU that is kicked. vCPU 0 kicks them.
KICKED = {
    1: MpState.HALTED,
    2: MpState.AP_RESET_HOLD,
    3: MpState.INIT_RECEIVED,
    4: MpState.UNINITIALIZED,
}
# HALTED as well, but not kicked.
ASLEEP = 5


def kick(vcpu):
    """Return the steps by which vCPU 0 kicks another one, by its APIC ID: the exit "kick 1" follows the hypercall."""
    return (Entry("xen_hypercall", (HC_KICK_CPU, 0, vcpu)), *run(f"kick {vcpu}"))


ASKS = scenario(
    "mp_state.kicked",
    *machine(WHERE, "xen_hypercall", cpuid=BARE_CPUID),
    *(Entry("xen_hypercall", (), vcpu, "returned") for vcpu in (*KICKED, ASLEEP)),
    *(ioctls.set_mp_state(vcpu, state) for vcpu, state in {**KICKED, ASLEEP: MpState.HALTED}.items()),
    *(step for vcpu in KICKED for step in kick(vcpu)),
    *(ioctls.get_mp_state(vcpu, f"mp_state {vcpu}") for vcpu in (*KICKED, ASLEEP)),
    *(step for vcpu in (1, 2) for step in run(f"vcpu {vcpu}", vcpu)),
    *run("asleep", ASLEEP, milliseconds=SETTLE_MS),
    configuration=WHERE,
)
SOURCE = "Documentation/virt/kvm/x86/hypercalls.rst, KVM_HC_KICK_CPU"
GET = "arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_get_mpstate"


def kicked(vcpu):
    """Return the checks of the hypercall that kicks a vCPU."""
    return (*guest_continues(f"kick {vcpu}"), RegisterHolds("rax", 0, f"kick {vcpu}"))


CLAIMS = claims(
    ExitClaim(
        "mp_state.kicked.halted",
        "A vCPU that is HALTED and was kicked is RUNNABLE and runs; one that was not kicked stays HALTED and blocks.",
        asks=ASKS,
        gives=(
            *kicked(1),
            BufferHolds("mp_state 1", MpState.RUNNABLE),
            *guest_continues("vcpu 1"),
            BufferHolds(f"mp_state {ASLEEP}", MpState.HALTED),
            Blocks("asleep"),
        ),
        source=f"{SOURCE}; {GET}",
        abi="x86_64",
    ),
    ExitClaim(
        "mp_state.kicked.ap_hold",
        "A vCPU in AP_RESET_HOLD that was kicked is RUNNABLE and runs.",
        asks=ASKS,
        gives=(*kicked(2), BufferHolds("mp_state 2", MpState.RUNNABLE), *guest_continues("vcpu 2")),
        # Linux 5.10 does not know the state; 647daca25d24, v5.11.
        before_5_18=kicked(2),
        source=f"Documentation/virt/kvm/api.rst, KVM_GET_MP_STATE; {GET}",
        abi="x86_64",
    ),
    ExitClaim(
        "mp_state.kicked.waiting",
        "A vCPU that waits for INIT or SIPI stays in its state when it is kicked.",
        asks=ASKS,
        gives=tuple(
            check
            for vcpu in (3, 4)
            for check in (*kicked(vcpu), BufferHolds(f"mp_state {vcpu}", KICKED[vcpu]))
        ),
        source=f"{SOURCE}: it wakes up a vCPU from HLT; {GET}",
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_kicked(check, claim):
    """A kick ends the sleep of a vCPU, and is no INIT and no SIPI."""
    check(claim)
