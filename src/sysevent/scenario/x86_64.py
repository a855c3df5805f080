"""What scenarios of x86-64 are made of: vCPUs that write Hyper-V's MSRs. Numbers from the Hyper-V TLFS."""

from __future__ import annotations

import struct

from sysevent.abi import hyperv, xen
from sysevent.abi.capabilities import Capability
from sysevent.abi.debug import GUESTDBG_ENABLE, GUESTDBG_SINGLESTEP
from sysevent.abi.hyperv import (
    CRASH_AVAILABLE,
    MSR_RESET,
    RESET_AVAILABLE,
)
from sysevent.abi.ioctls import Request
from sysevent.scenario import ioctls
from sysevent.scenario.steps import Entry, Ioctl, Load, Memory, Scenario, Step, Vcpu, Vm, run

RAM = 0x10_0000
RAM_SIZE = 0x1_0000
COUNTERS = RAM + 0x8000  # a peer's is at 8 times its number
RETURNED_PORT = 0xE9  # where payloads write to when the instruction came back
HOLE = 0xD000_0000  # an address without memory
TSS = 0xFFFB_D000  # for VMX without unrestricted guests; SVM does not look at it

# Where Xen guests look for the MSR that sets up their hypercall page.
_XEN_MSR = 0x4000_0000

Leaves = tuple[tuple[int, ...], ...]  # (leaf, eax, ebx, ecx, edx) each
BARE_CPUID: Leaves = (
    (0x0000_0000, 0x1, 0x756E_6547, 0x6C65_746E, 0x4965_6E69),
    (0x0000_0001, 0x0006_0FB1, 0, 0, 0x0000_0021),
)


def hyperv_cpuid(*, reset: bool = True, crash: bool = True) -> Leaves:
    """As little as makes KVM offer its Hyper-V MSRs: leaf 0x40000001 says "Hv#1" (hyperv.c, kvm_hv_set_cpuid)."""
    return (
        *BARE_CPUID,
        (hyperv.CPUID_VENDOR, hyperv.CPUID_LIMITS, 0x7263_694D, 0x666F_736F, 0x7648_2074),  # "Microsoft Hv"
        (hyperv.CPUID_INTERFACE, 0x3123_7648, 0, 0, 0),
        (hyperv.CPUID_VERSION, 0, 0, 0, 0),
        (hyperv.CPUID_FEATURES, RESET_AVAILABLE * reset, 0, 0, CRASH_AVAILABLE * crash),
        (hyperv.CPUID_RECOMMENDATIONS, 0, 0, 0, 0),
        (hyperv.CPUID_LIMITS, 0, 0, 0, 0),
    )


HYPERV_CPUID = hyperv_cpuid()
ENFORCE = ioctls.enable_cap(0, Capability.HYPERV_ENFORCE_CPUID, 1)


def set_cpuid(leaves: Leaves, vcpu: int = 0) -> Ioctl:
    """KVM_SET_CPUID2 with these leaves; struct kvm_cpuid_entry2 is 40 bytes."""
    entries = b"".join(struct.pack("<7I12x", leaf, 0, 0, *values) for leaf, *values in leaves)
    return Ioctl(vcpu, Request.SET_CPUID2, buffer=struct.pack("<II", len(leaves), 0) + entries)


def vm_with_vcpus(payload: str, *, cpuid: Leaves = HYPERV_CPUID, vcpus: int = 1) -> tuple[Step, ...]:
    """vCPUs in flat protected mode that believe to be under Hyper-V."""
    return (
        Vm(),
        Ioctl("vm", Request.SET_TSS_ADDR, TSS),
        Memory(RAM, RAM_SIZE),
        Load(payload),
        *(Vcpu(number) for number in range(vcpus)),
        *(set_cpuid(cpuid, number) for number in range(vcpus)),
    )


def registers(msr: int, value: int) -> tuple[int, ...]:
    """rax, rbx, rcx, rdx, rsi, rdi for a WRMSR."""
    return (value & 0xFFFF_FFFF, 0x5E01, msr, value >> 32, 0x5E04, 0x5E05)


def scenario(name: str, *steps: Step) -> Scenario:
    """A scenario of x86-64 by its name without the architecture."""
    return Scenario(f"x86_64.{name}", "x86_64", steps)


def wrmsr(
    name: str,
    msr: int,
    value: int,
    *,
    cpuid: Leaves = HYPERV_CPUID,
    setup: tuple[Step, ...] = (),
    symbol: str = "",
) -> Scenario:
    """One WRMSR on one vCPU; what it leads to is the exit "exit"."""
    return scenario(
        name,
        *vm_with_vcpus("wrmsr", cpuid=cpuid),
        *setup,
        Entry("wrmsr", registers(msr, value), symbol=symbol),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


FACTS = Scenario(
    "x86_64.facts",
    "x86_64",
    (
        *vm_with_vcpus("wrmsr", cpuid=BARE_CPUID),
        *(
            ioctls.check_extension(fd, capability)
            for capability in (
                Capability.SYSTEM_EVENT_DATA,
                Capability.X86_TRIPLE_FAULT_EVENT,
                Capability.HYPERV_ENFORCE_CPUID,
                Capability.HYPERV,
            )
            for fd in ("system", "vm")
        ),
        # Without Hyper-V's CPUID the MSR must not be there: this tells whether this kernel looks at it at all.
        Entry("wrmsr", registers(MSR_RESET, 1)),
        *run("hyperv.gated"),
    ),
)


def intercept_xen_hypercalls(label: str = "") -> Ioctl:
    """Have KVM hand a guest's Xen hypercalls to userspace (KVM_EXIT_XEN, v5.12).

    arch/x86/kvm/xen.c: KVM_XEN_HVM_CONFIG with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL and an MSR turns it on;
    neither the MSR nor a hypercall page has to be used.
    """
    # struct kvm_xen_hvm_config: flags, msr, two addresses and sizes of hypercall pages, padding
    config = struct.pack("<IIQQBB30x", xen.INTERCEPT_HCALL, _XEN_MSR, 0, 0, 0, 0)
    return Ioctl("vm", Request.SET_XEN_HVM_CONFIG, buffer=config, label=label)


# Whether this kernel can hand Xen hypercalls to userspace.
XEN = scenario("xen.facts", Vm(), intercept_xen_hypercalls("xen.intercept"))


DEBUG_STEP = Ioctl(
    0, Request.SET_GUEST_DEBUG_X86, buffer=struct.pack("<II64x", GUESTDBG_ENABLE | GUESTDBG_SINGLESTEP, 0)
)
DEBUG_OFF = Ioctl(0, Request.SET_GUEST_DEBUG_X86, buffer=struct.pack("<II64x", 0, 0))


def msrs(values: dict[int, int]) -> bytes:
    """struct kvm_msrs with these values by their indices."""
    entries = b"".join(struct.pack("<IIQ", index, 0, value) for index, value in values.items())
    return struct.pack("<II", len(values), 0) + entries
