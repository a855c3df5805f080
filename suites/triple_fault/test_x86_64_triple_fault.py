"""Triple faults: an x86 guest's CPU shuts down, and the VMM reads KVM_EXIT_SHUTDOWN, which is not a system event.

The guest executes UD2 without an interrupt descriptor table, or, since v6.0, userspace injects the triple fault with
KVM_SET_VCPU_EVENTS. KVM ends KVM_RUN with KVM_EXIT_SHUTDOWN (8), which has no fields. Source: api.rst, kvm_run;
arch/x86/kvm/x86.c, KVM_REQ_TRIPLE_FAULT.
"""

import struct

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_RESET
from sysevent.abi.ioctls import Request
from sysevent.abi.x86_64 import CR0_RESET, UD_VECTOR, VCPUEVENT_VALID_SMM, VCPUEVENT_VALID_TRIPLE_FAULT
from sysevent.contract.checks import Exits, NothingBeyond, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.x86_64 import (
    ENTER,
    HYPERV,
    INJECT_DOC,
    SMM,
    SVM,
    TRIPLE_FAULT_DOC,
    TRIPLE_FAULT_EVENT,
    VMX,
    guest_continues,
)
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, run
from sysevent.scenario.x86_64 import registers, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import RESET_BASE, RESET_RIP, get_events, inject_triple_fault, set_events


def has_pending(label, pending, *, told=True):
    """Return the checks of KVM_GET_VCPU_EVENTS: whether a triple fault is pending, and whether KVM tells so at all."""
    valid = VCPUEVENT_VALID_TRIPLE_FAULT
    return (BufferHolds(label, valid * told, 20, mask=valid), BufferHolds(label, pending, 28, 1))


ENABLE = ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 1, label="enable")
DISABLE = ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 0, label="disable")
INJECT = inject_triple_fault("inject", 1)
# An injected #UD, of which exception.injected and exception.nr, at 0 and 1, are set; flags; and smi.smm, at 24.
UD_IN_SMM = Ioctl(
    0, Request.SET_VCPU_EVENTS_X86, buffer=struct.pack("<BB18xIB39x", 1, UD_VECTOR, VCPUEVENT_VALID_SMM, 1)
)
# UD2 without an interrupt descriptor table: guests/payloads/x86_64/triple_fault.S.
FAULTS = scenario(
    "triple_fault",
    *vm_with_vcpus("triple_fault"),
    Entry("triple_fault"),
    *run("exit"),
    ioctls.get_mp_state(0, "mp_state"),
)

# Userspace injects it; what is pending before and after the exit.
INJECTED = scenario(
    "triple_fault.injected",
    *vm_with_vcpus("wrmsr"),
    ENABLE,
    Entry("wrmsr", registers(MSR_RESET, 0)),
    INJECT,
    get_events("before"),
    *run("exit"),
    get_events("after"),
)


def injected_and(name, *steps):
    """Return the scenario: userspace injects a triple fault into a guest, then these steps, and KVM_RUN."""
    return scenario(
        f"triple_fault.{name}",
        *vm_with_vcpus("wrmsr"),
        ENABLE,
        Entry("wrmsr", registers(MSR_RESET, 0), symbol="returned"),
        INJECT,
        *steps,
        *run("exit"),
    )


CLAIMS = claims(
    ExitClaim(
        "triple_fault",
        "A triple fault exits as KVM_EXIT_SHUTDOWN.",
        asks=FAULTS,
        gives=(Exits(ExitReason.SHUTDOWN), NothingBeyond()),
        source=TRIPLE_FAULT_DOC,
    ),
    ExitClaim(
        "triple_fault.written",
        "KVM_EXIT_SHUTDOWN writes nothing into the union.",
        asks=FAULTS,
        gives=(Exits(ExitReason.SHUTDOWN), Written(())),
        source=f"{ENTER}: exit_reason alone is set",
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "triple_fault.state",
        "On SVM the SHUTDOWN intercept resets the vCPU: RIP and the code segment are those of the reset vector.",
        asks=FAULTS,
        gives=(
            Exits(ExitReason.SHUTDOWN),
            RegisterHolds("rip", RESET_RIP),
            RegisterHolds("cs.base", RESET_BASE),
            RegisterHolds("cr0", CR0_RESET),
        ),
        source="arch/x86/kvm/svm/svm.c, shutdown_interception",
        needs=(SVM,),
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "triple_fault.state.vmx",
        "On VMX a triple fault leaves RIP at the faulting instruction.",
        asks=FAULTS,
        gives=(Exits(ExitReason.SHUTDOWN), PcAt("triple_fault.fault", "rip"), RegisterHolds("cs.base", 0)),
        source="arch/x86/kvm/vmx/vmx.c, handle_triple_fault",
        needs=(VMX,),
        level=Level.OBSERVED,
    ),
    # Userspace injects the triple fault.
    ExitClaim(
        "triple_fault.injected",
        "A triple fault that userspace injects exits as KVM_EXIT_SHUTDOWN before the guest runs on.",
        asks=INJECTED,
        gives=(Returns("inject"), Exits(ExitReason.SHUTDOWN), NothingBeyond()),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
    ),
    ExitClaim(
        "triple_fault.injected.state",
        "A triple fault that userspace injects leaves the vCPU where it was.",
        asks=INJECTED,
        gives=(Exits(ExitReason.SHUTDOWN), PcAt("wrmsr._start", "rip")),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
        level=Level.OBSERVED,
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.injected.pending",
        "KVM_GET_VCPU_EVENTS tells that a triple fault is pending before the exit, and not after it.",
        asks=INJECTED,
        gives=(Returns("enable"), *has_pending("before", 1), *has_pending("after", 0)),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.withdrawn",
        "A triple fault that userspace injects, and withdraws again, does not happen.",
        asks=injected_and("withdrawn", inject_triple_fault("withdraw", 0), get_events("after")),
        gives=(Returns("withdraw"), *has_pending("after", 0), *guest_continues()),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.kept",
        "A triple fault stays pending while userspace sets other events.",
        asks=injected_and("kept", set_events(), get_events("after")),
        gives=(*has_pending("after", 1), Exits(ExitReason.SHUTDOWN)),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.disabled",
        "With KVM_CAP_X86_TRIPLE_FAULT_EVENT disabled again, injecting a triple fault fails with EINVAL, and "
        "KVM_GET_VCPU_EVENTS tells nothing of one.",
        asks=scenario(
            "triple_fault.disabled",
            *vm_with_vcpus("wrmsr"),
            ENABLE,
            DISABLE,
            Entry("wrmsr", symbol="returned"),
            INJECT,
            get_events("after"),
            *run("exit"),
        ),
        gives=(
            Returns("enable"),
            Returns("disable"),
            Returns("inject", errno=Errno.EINVAL),
            *has_pending("after", 0, told=False),
            *guest_continues(),
        ),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
    ),
    ExitClaim(
        "triple_fault.not_enabled",
        "Without KVM_CAP_X86_TRIPLE_FAULT_EVENT enabled, injecting a triple fault fails with EINVAL, and none happens.",
        asks=scenario(
            "triple_fault.not_enabled",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_RESET, 0)),
            INJECT,
            *run("exit"),
        ),
        gives=(Returns("inject", errno=Errno.EINVAL), *guest_continues()),
        source=INJECT_DOC,
        needs=(HYPERV,),
    ),
    # KVM must leave System Management Mode before it resets the vCPU; x86_64.kernel.log shows whether it warns.
    ExitClaim(
        "triple_fault.smm",
        "A triple fault in System Management Mode exits as KVM_EXIT_SHUTDOWN.",
        asks=scenario(
            "triple_fault.smm",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_RESET, 0)),
            UD_IN_SMM,
            *run("exit"),
        ),
        gives=(Exits(ExitReason.SHUTDOWN), NothingBeyond()),
        source=f"{TRIPLE_FAULT_DOC}; a2620f8932fa, v6.15, arch/x86/kvm/svm/svm.c, shutdown_interception",
        needs=(SMM,),
    ),
    # Bytes of an earlier event in the union do not make the exit a system event.
    ExitClaim(
        "sequence.crash_then_triple_fault",
        "A triple fault after a system event exits as SHUTDOWN, not as the event.",
        asks=scenario(
            "sequence.crash_then_triple_fault",
            *vm_with_vcpus("wrmsr"),
            Entry("wrmsr", registers(MSR_CRASH_CTL, CRASH_NOTIFY)),
            *run("first"),
            Entry("wrmsr", registers(0xFFFF_FFFF, 0)),
            *run("exit"),
        ),
        gives=(Exits(ExitReason.SYSTEM_EVENT, "first"), Exits(ExitReason.SHUTDOWN)),
        source=TRIPLE_FAULT_DOC,
        needs=(HYPERV,),
    ),
)


@CLAIMS.each
def test_triple_fault(check, claim):
    """A triple fault exits as KVM_EXIT_SHUTDOWN, whatever caused it, and has no fields."""
    check(claim)
