"""What one action must leave as another has made it: sequences that `sysevent explore` has found to matter.

Kernels that were wrong in one of them alone followed every other claim. The actions are those of a VMM that boots a
machine, stops it and begins again: KVM_ARM_VCPU_INIT, KVM_SET_MP_STATE, an interrupt, the version of PSCI.
Source: Arm DEN0022; api.rst; arch/arm64/kvm/arm.c and psci.c.
"""

from sysevent.abi import psci
from sysevent.abi.events import EventType
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import AFFINITY_ON, ALREADY_ON, SUCCESS, Function
from sysevent.contract.arm64 import CAP_SUSPEND, CAP_SUSPEND_DOC, guest_continues, returns
from sysevent.contract.checks import Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import (
    ENABLE_SUSPEND,
    IRQ_OFF,
    IRQ_ON,
    RAM,
    call_again,
    psci_version,
    registers,
    scenario,
    vcpu_init,
    vm_with_vcpus,
)
from sysevent.scenario.steps import SETTLE_MS, Entry, Ioctl, run

SET_STATE = (
    "Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_set_mpstate"
)
INIT = (
    "Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT; arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_vcpu_init"
)
ON = "Arm DEN0022; arch/arm64/kvm/psci.c, kvm_psci_vcpu_on, kvm_psci_vcpu_affinity_info"
INIT_AGAIN = Ioctl(0, Request.ARM_VCPU_INIT, buffer=vcpu_init())
# 0.2, of which the major version is in the upper 16 bits.
OLDEST = 2

SUSPENDS = scenario(
    "psci.suspend.after_init",
    *vm_with_vcpus(),
    ENABLE_SUSPEND,
    INIT_AGAIN,
    Entry("call", registers(Function.SYSTEM_SUSPEND, RAM, 0)),
    *run("exit"),
)
# vCPU 1 has its entry point, but has not been in KVM_RUN since. Without that it would make the call of its own Entry.
STARTS = scenario(
    "psci.cpu_on.set_runnable",
    *vm_with_vcpus(vcpus=2, off=(1,)),
    Entry("call", registers(psci.VERSION), 1),
    Entry("call", registers(psci.CPU_ON_64, 1, RAM, Function.SYSTEM_OFF)),
    *run("on"),
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    *run("exit", 1),
)
IS_ON = scenario(
    "psci.cpu_on.suspended",
    *vm_with_vcpus(vcpus=2),
    ioctls.set_mp_state(1, MpState.SUSPENDED),
    Entry("call", registers(psci.AFFINITY_INFO, 1, 0)),
    *run("affinity"),
    *call_again("on", psci.CPU_ON_64, 1, RAM, 0),
    ioctls.get_mp_state(1, "mp_state"),
)
# vCPU 0 has run when it is initialized again; vCPU 1 asks then.
HAS_VERSION = scenario(
    "psci_0_2.after_init",
    *vm_with_vcpus(vcpus=2),
    psci_version(0, 2),
    Entry("call", registers(psci.VERSION)),
    *run("before"),
    INIT_AGAIN,
    Entry("call", registers(psci.VERSION), 1),
    *run("after", 1),
)
LOWERED = scenario(
    "mp_state.suspended.lowered",
    *vm_with_vcpus(),
    Entry("call", registers(Function.SYSTEM_OFF)),
    IRQ_ON,
    ioctls.set_mp_state(0, MpState.STOPPED),
    IRQ_OFF,
    ioctls.set_mp_state(0, MpState.SUSPENDED),
    *run("asleep", milliseconds=SETTLE_MS),
)
# The store behind a call that came back is not completed when the vCPU is initialized: KVM_RUN moves the new PC, too.
# So the HVC is skipped, and what follows it shows x0 as userspace has set it.
COMPLETES = scenario(
    "reinit.mmio",
    *vm_with_vcpus(),
    Entry("call", registers(psci.VERSION)),
    *run("store"),
    INIT_AGAIN,
    Entry("call", registers(Function.SYSTEM_OFF)),
    *run("exit"),
)

CLAIMS = claims(
    ExitClaim(
        "psci.suspend.after_init",
        "KVM_CAP_ARM_SYSTEM_SUSPEND stays enabled when a vCPU is initialized again.",
        asks=SUSPENDS,
        gives=system_event(EventType.SUSPEND),
        source=f"{CAP_SUSPEND_DOC}; {INIT}",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "psci.cpu_on.set_runnable",
        "A vCPU that CPU_ON started begins at the entry point, with the context, also if userspace makes it RUNNABLE "
        "before it enters KVM_RUN.",
        asks=STARTS,
        gives=(*returns("on", SUCCESS), *system_event(EventType.SHUTDOWN, 0)),
        before_5_18=(*returns("on", SUCCESS), *old_system_event(EventType.SHUTDOWN, 0)),
        source=f"{API}; {SET_STATE}",
    ),
    ExitClaim(
        "psci.cpu_on.suspended",
        "A vCPU that is SUSPENDED is on: AFFINITY_INFO returns ON (0), and CPU_ON is refused (ALREADY_ON, -4).",
        asks=IS_ON,
        gives=(
            *returns("affinity", AFFINITY_ON),
            *returns("on", ALREADY_ON),
            BufferHolds("mp_state", MpState.SUSPENDED),
        ),
        source=ON,
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "psci_0_2.after_init",
        "The version of PSCI that userspace has selected stays when a vCPU that has run is initialized again.",
        asks=HAS_VERSION,
        gives=(*returns("before", OLDEST), *returns("after", OLDEST)),
        source=f"Documentation/virt/kvm/arm/fw-pseudo-registers.rst; {INIT}",
    ),
    ExitClaim(
        "mp_state.suspended.lowered",
        "An interrupt that is lowered while its vCPU is STOPPED wakes no vCPU: SUSPENDED then, it blocks.",
        asks=LOWERED,
        gives=(Blocks("asleep"), Written((), "asleep")),
        source=f"{SET_STATE}, vcpu_interrupt_line",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "reinit.mmio",
        "A store that KVM_RUN has exited for is completed by the next KVM_RUN, which moves the program counter by an "
        "instruction, also if userspace has initialized the vCPU and set its program counter since.",
        asks=COMPLETES,
        gives=guest_continues(Function.SYSTEM_OFF),
        source="Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_MMIO: the operation is complete after KVM_RUN "
        "is entered again; arch/arm64/kvm/mmio.c, kvm_handle_mmio_return",
        level=Level.OBSERVED,
    ),
)


@CLAIMS.each
def test_sequence(check, claim):
    """What was set stays set, and what was requested still comes."""
    check(claim)
