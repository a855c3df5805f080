"""Events of an x86 guest that has what guests of Hyper-V and KVM use: SynIC, x2APIC, clock, steal time, a debugger.

Each has code of its own on the way into the guest (arch/x86/kvm/x86.c, vcpu_enter_guest, where events are checked for
as well) and memory or registers of its own. So has KVM_CAP_SYNC_REGS, with which a VMM reads registers from kvm_run.
"""

import struct

from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE, GUESTDBG_USE_SW_BP
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.kvm_run import VALID_REGS
from sysevent.abi.x86_64 import (
    APIC_BASE_X2APIC,
    CPUID_APIC,
    CPUID_X2APIC,
    MSR_APIC_BASE,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME,
    SYNC_REGS,
)
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.x86_64 import HYPERV, MSRS, guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import Entry, Ioctl, SetRunBytes, run
from sysevent.scenario.x86_64 import HYPERV_CPUID, RAM, registers, scenario, set_msrs
from sysevent.scenario.x86_64_machine import machine

WHERE = Configuration(irqchip="full")
# Hyper-V's leaves, and of the features in leaf 1 a local APIC with its x2APIC mode.
X2APIC_CPUID = tuple(
    (leaf, eax, ebx, ecx | CPUID_X2APIC, edx | CPUID_APIC) if leaf == 1 else (leaf, eax, ebx, ecx, edx)
    for leaf, eax, ebx, ecx, edx in HYPERV_CPUID
)
# Memory for the guest's clock and its steal time, behind the payload; bit 0 turns them on.
CLOCK, STEAL = RAM + 0xC001, RAM + 0xD001
# struct kvm_guest_debug
DEBUGGED = struct.pack("<II64x", GUESTDBG_ENABLE | GUESTDBG_USE_SW_BP, 0)


# Name, the feature in words, CPUID, the steps that turn it on, the checks that it was; a kernel may lack steal time.
FEATURES = (
    (
        "synic",
        "Hyper-V's SynIC",
        HYPERV_CPUID,
        (ioctls.enable_cap(0, Capability.HYPERV_SYNIC2, label="synic"),),
        (Returns("synic"),),
    ),
    (
        "x2apic",
        "its local APIC in x2APIC mode",
        X2APIC_CPUID,
        (set_msrs("x2apic", {MSR_APIC_BASE: APIC_BASE_X2APIC}),),
        (Returns("x2apic", 1),),
    ),
    (
        "clock",
        "KVM's clock and steal time",
        HYPERV_CPUID,
        (set_msrs("clock", {MSR_KVM_SYSTEM_TIME: CLOCK}), set_msrs("steal", {MSR_KVM_STEAL_TIME: STEAL})),
        (Returns("clock", 1),),
    ),
    (
        "debugger",
        "a debugger that uses software breakpoints",
        HYPERV_CPUID,
        (Ioctl(0, Request.SET_GUEST_DEBUG_X86, buffer=DEBUGGED, label="debug"),),
        (Returns("debug"),),
    ),
)


def with_feature(name, msr, cpuid, setup):
    """Return the scenario: a vCPU enters once, with the feature, and then writes the MSR."""
    return scenario(
        f"features.{name}.{msr.title}",
        *machine(WHERE, cpuid=cpuid),
        *setup,
        Entry("wrmsr", symbol="returned"),
        *run("first"),
        Entry("wrmsr", registers(msr.index, msr.value)),
        *run("exit"),
        *run("again"),
        configuration=WHERE,
    )


def synced(msr):
    """Return the scenario: a WRMSR, after whose exit the registers are in kvm_run."""
    return scenario(
        f"features.sync_regs.{msr.title}",
        *machine(Configuration()),
        Entry("wrmsr", registers(msr.index, msr.value)),
        SetRunBytes(VALID_REGS.offset, struct.pack("<Q", SYNC_REGS)),
        *run("exit"),
    )


CLAIMS = claims(
    *(
        ExitClaim(
            f"features.{name}.{msr.title}",
            f"With {words}, {msr.words} exits as {msr.event_name} with no data, and the guest goes on.",
            asks=with_feature(name, msr, cpuid, setup),
            gives=(
                *taken,
                *guest_continues("first"),
                *system_event(msr.event_type),
                *guest_continues("again"),
            ),
            before_5_18=(
                *taken,
                *guest_continues("first"),
                *old_system_event(msr.event_type),
                *guest_continues("again"),
            ),
            source=API,
            needs=(HYPERV,),
            abi="x86_64",
        )
        for name, words, cpuid, setup, taken in FEATURES
        for msr in MSRS
    ),
    *(
        ExitClaim(
            f"features.sync_regs.{msr.title}",
            f"With registers in kvm_run, {msr.words} exits as {msr.event_name} with no data.",
            asks=synced(msr),
            gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("type", msr.event_type), Holds("ndata", 0)),
            before_5_18=(Exits(ExitReason.SYSTEM_EVENT), Holds("type", msr.event_type)),
            source=f"{API}; KVM_CAP_SYNC_REGS",
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
)


@CLAIMS.each
def test_features(check, claim):
    """What a guest uses besides does not change the event."""
    check(claim)
