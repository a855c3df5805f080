"""KVM_GET_VCPU_EVENTS and KVM_SET_VCPU_EVENTS, by which a VMM moves a pending triple fault: flags and return values.

A VMM that migrates a guest sets on one kernel what it got from another one. So every flag that KVM reports must be
taken, and one that it does not know must be refused, because the state behind it would be lost.
"""

import struct

from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.x86_64 import (
    VCPUEVENT_VALID_NMI_PENDING,
    VCPUEVENT_VALID_SHADOW,
    VCPUEVENT_VALID_SIPI_VECTOR,
    VCPUEVENT_VALID_TRIPLE_FAULT,
)
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.x86_64 import INJECT_DOC, SMM, TRIPLE_FAULT_EVENT, guest_continues
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, run
from sysevent.scenario.x86_64 import BARE_CPUID, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import get_events, inject_triple_fault, set_events

EVENTS_DOC = "Documentation/virt/kvm/api.rst, KVM_SET_VCPU_EVENTS"
# A VMM finds out by that errno that a kernel does not know a flag. Without it, what the flag stands for is lost.
CHECK = (
    "Documentation/process/botching-up-ioctls.rst: unused flags must be 0, or the ioctl is rejected; "
    "arch/x86/kvm/x86.c, kvm_vcpu_ioctl_x86_set_vcpu_events"
)
# A bit of kvm_vcpu_events.flags that no kernel defines.
UNKNOWN = 1 << 31
# What KVM_GET_VCPU_EVENTS reports of every vCPU, but for the state of System Management Mode.
ALWAYS = VCPUEVENT_VALID_NMI_PENDING | VCPUEVENT_VALID_SHADOW
KNOWN = {
    "none": 0,
    "nmi": VCPUEVENT_VALID_NMI_PENDING,
    "sipi": VCPUEVENT_VALID_SIPI_VECTOR,
    "shadow": VCPUEVENT_VALID_SHADOW,
    "all": ALWAYS | VCPUEVENT_VALID_SIPI_VECTOR,
}
ENABLE = ioctls.enable_cap("vm", Capability.X86_TRIPLE_FAULT_EVENT, 1, label="enable")
FAULT = VCPUEVENT_VALID_TRIPLE_FAULT


def set_flags(label, flags, *, pending=0):
    """Return the step KVM_SET_VCPU_EVENTS of these flags: nothing is pending, or a triple fault."""
    buffer = struct.pack("<20xI4xB35x", flags, pending)
    return Ioctl(0, Request.SET_VCPU_EVENTS_X86, buffer=buffer, label=label)


def events(name, *steps, after=()):
    """Return the scenario: these steps before a guest runs, whose next instruction is an OUT, and those after it."""
    return scenario(
        f"triple_fault.flags{name}",
        *vm_with_vcpus("wrmsr", cpuid=BARE_CPUID),
        Entry("wrmsr", symbol="returned"),
        *steps,
        *run("exit"),
        *after,
    )


PLAIN = events(
    "",
    get_events("get"),
    *(set_flags(label, flags) for label, flags in KNOWN.items()),
    set_events(label="smm"),
    set_flags("unknown", UNKNOWN),
)
ENABLED = events(
    ".enabled",
    ENABLE,
    get_events("get"),
    set_flags("set", ALWAYS | FAULT),
    set_flags("unknown", UNKNOWN | FAULT, pending=1),
    get_events("after"),
)
# What KVM_GET_VCPU_EVENTS then gives is set again.
PENDING = events(
    ".pending",
    ENABLE,
    inject_triple_fault("inject"),
    get_events("get"),
    set_flags("set", ALWAYS | FAULT, pending=1),
    get_events("after"),
    after=run("again"),
)


def reports(label, *, fault=0, pending=0):
    """Return the checks of KVM_GET_VCPU_EVENTS: the flags, and whether a triple fault is pending."""
    return (
        BufferHolds(label, ALWAYS | fault, 20, mask=ALWAYS | FAULT),
        BufferHolds(label, pending, 28, 1),
    )


CLAIMS = claims(
    ExitClaim(
        "triple_fault.flags",
        "KVM_SET_VCPU_EVENTS takes the flags that KVM_GET_VCPU_EVENTS reports, each alone and together.",
        asks=PLAIN,
        gives=(*reports("get"), *map(Returns, KNOWN), *guest_continues()),
        source=EVENTS_DOC,
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.flags.smm",
        "KVM_SET_VCPU_EVENTS takes the flag of System Management Mode.",
        asks=PLAIN,
        gives=(Returns("smm"), *guest_continues()),
        source=EVENTS_DOC,
        needs=(SMM,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.flags.unknown",
        "KVM_SET_VCPU_EVENTS refuses a flag that it does not know with EINVAL.",
        asks=PLAIN,
        gives=(Returns("unknown", errno=Errno.EINVAL), *guest_continues()),
        source=CHECK,
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.flags.enabled",
        "With KVM_CAP_X86_TRIPLE_FAULT_EVENT enabled KVM_GET_VCPU_EVENTS reports its flag, and KVM_SET_VCPU_EVENTS "
        "takes it back.",
        asks=ENABLED,
        gives=(Returns("enable"), *reports("get", fault=FAULT), Returns("set")),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.flags.enabled.unknown",
        "KVM_SET_VCPU_EVENTS of a triple fault with a flag that KVM does not know is refused with EINVAL, and none "
        "happens.",
        asks=ENABLED,
        gives=(
            Returns("unknown", errno=Errno.EINVAL),
            *reports("after", fault=FAULT),
            *guest_continues(),
        ),
        source=CHECK,
        needs=(TRIPLE_FAULT_EVENT,),
        abi="x86_64",
    ),
    ExitClaim(
        "triple_fault.flags.pending",
        "A pending triple fault that KVM_GET_VCPU_EVENTS reports, and KVM_SET_VCPU_EVENTS takes back, happens.",
        asks=PENDING,
        gives=(
            Returns("inject"),
            *reports("get", fault=FAULT, pending=1),
            Returns("set"),
            *reports("after", fault=FAULT, pending=1),
            Exits(ExitReason.SHUTDOWN),
        ),
        source=INJECT_DOC,
        needs=(TRIPLE_FAULT_EVENT,),
        abi="x86_64",
    ),
    # x86_64.kernel.log shows whether KVM warns, as of an MMIO that userspace still had to complete.
    ExitClaim(
        "triple_fault.flags.pending.again",
        "A triple fault that userspace injected happens once: with the next KVM_RUN the guest goes on.",
        asks=PENDING,
        gives=(Exits(ExitReason.SHUTDOWN), *guest_continues("again")),
        source="arch/x86/kvm/x86.c, vcpu_enter_guest and kvm_arch_vcpu_ioctl_run: mmio_needed",
        needs=(TRIPLE_FAULT_EVENT,),
        level=Level.OBSERVED,
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_events(check, claim):
    """What KVM reports of pending events, it takes back; what it does not know, it refuses."""
    check(claim)
