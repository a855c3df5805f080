"""Each capability that VMMs of x86 enable turns on its own behaviour, and that of no other one.

kvm_vm_ioctl_enable_cap() is one switch of many cases, several of which take any argument. A case that runs into the
next one enables that, too, and KVM_ENABLE_CAP still returns 0. The virtual machine has one capability. Then userspace
asks which events KVM_GET_VCPU_EVENTS reports, and the guest executes HLT, and a WRMSR that is a #GP.
"""

from sysevent.abi.capabilities import Capability
from sysevent.abi.exits import ExitReason
from sysevent.abi.x86_64 import (
    MSR_EXIT_FILTER,
    MSR_EXIT_INVAL,
    VCPUEVENT_VALID_PAYLOAD,
    VCPUEVENT_VALID_TRIPLE_FAULT,
)
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.x86_64 import TRIPLE_FAULT_EVENT
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, run
from sysevent.scenario.x86_64 import BARE_CPUID, COUNTERS, EFER, registers, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_state import get_events

# A bit of IA32_EFER that must be zero.
RESERVED = 1 << 63
# Name, capability, its argument, the flags that KVM_GET_VCPU_EVENTS reports for it, needs. X86_DISABLE_EXITS: PAUSE.
# X2APIC_API: KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK; as the argument of X86_DISABLE_EXITS the same bit is HLT.
ALONE = (
    ("x2apic_api", Capability.X2APIC_API, 1 << 1, 0, ()),
    ("disable_exits", Capability.X86_DISABLE_EXITS, 1 << 2, 0, ()),
    ("exception_payload", Capability.EXCEPTION_PAYLOAD, 1, VCPUEVENT_VALID_PAYLOAD, ()),
    (
        "triple_fault_event",
        Capability.X86_TRIPLE_FAULT_EVENT,
        1,
        VCPUEVENT_VALID_TRIPLE_FAULT,
        (TRIPLE_FAULT_EVENT,),
    ),
    ("user_space_msr", Capability.X86_USER_SPACE_MSR, MSR_EXIT_FILTER, 0, ()),
    ("user_space_msr.invalid", Capability.X86_USER_SPACE_MSR, MSR_EXIT_INVAL, 0, ()),
)


def alone(name, capability, argument):
    """Return the scenario: a VM with this capability, whose guest halts, and then writes a reserved bit of an MSR."""
    return scenario(
        f"options.alone.{name}",
        *vm_with_vcpus(
            "wrmsr",
            cpuid=BARE_CPUID,
            before_vcpus=(ioctls.enable_cap("vm", capability, argument, label="enable"),),
        ),
        get_events("events"),
        Entry("wrmsr", (0, COUNTERS), symbol="halt"),
        *run("halt"),
        Entry("wrmsr", registers(EFER, RESERVED)),
        *run("exit"),
    )


def msr_checks(argument, capability):
    """Return the checks of the WRMSR: only userspace that has asked for such MSRs gets it, instead of a #GP."""
    if capability is Capability.X86_USER_SPACE_MSR and argument & MSR_EXIT_INVAL:
        return (Exits(ExitReason.X86_WRMSR), Holds("msr.reason", MSR_EXIT_INVAL), Holds("msr.index", EFER))
    return (Exits(ExitReason.SHUTDOWN),)


CLAIMS = claims(
    *(
        ExitClaim(
            f"options.alone.{name}",
            f"KVM_ENABLE_CAP of KVM_CAP_{capability.name} returns 0, and enables no other capability.",
            asks=alone(name, capability, argument),
            gives=(
                Returns("enable"),
                BufferHolds("events", flags, 20, mask=VCPUEVENT_VALID_PAYLOAD | VCPUEVENT_VALID_TRIPLE_FAULT),
                Exits(ExitReason.HLT, "halt"),
                *msr_checks(argument, capability),
            ),
            source=f"Documentation/virt/kvm/api.rst, 7, KVM_CAP_{capability.name}; arch/x86/kvm/x86.c, "
            "kvm_vm_ioctl_enable_cap",
            needs=needs,
            abi="x86_64",
        )
        for name, capability, argument, flags, needs in ALONE
    ),
)


@CLAIMS.each
def test_capabilities(check, claim):
    """A capability that is enabled is the only one."""
    check(claim)
