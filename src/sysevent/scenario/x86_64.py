"""Building blocks of x86-64 scenarios: vCPUs that write Hyper-V's MSRs. Numbers are those of the Hyper-V TLFS.

The payload "wrmsr" (guests/payloads/x86_64/wrmsr.S) executes one WRMSR with the registers that the VMM set. If the
instruction completes, it writes to RETURNED_PORT, which ends KVM_RUN with KVM_EXIT_IO; then it starts again.
"""

from __future__ import annotations

import functools
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
from sysevent.scenario.steps import (
    COUNTERS_AT,
    RAM_SIZE,
    Entry,
    Ioctl,
    Load,
    Memory,
    Open,
    Scenario,
    Step,
    Vcpu,
    Vm,
    run,
    scenario_of,
)

RAM = 0x10_0000
COUNTERS = RAM + COUNTERS_AT
# Of the payload "wrmsr": its hypercall.
KICK = RAM + 0x80
# Where payloads write to after their instruction has completed.
RETURNED_PORT = 0xE9
# For VMX without unrestricted guests; SVM ignores it.
TSS = 0xFFFB_D000

# The MSR by which Xen guests set up their hypercall page. Xen gives its number in EBX of CPUID leaf 0x40000002
# (cpuid_hypervisor_leaves).
_XEN_MSR = 0x4000_0000

# The index of an MSR that no CPU has: its WRMSR is a #GP.
NO_MSR = 0xFFFF_FFFF

# IA32_EFER, and its bit that a hypervisor sets to use SVM.
EFER, _EFER_SVME = 0xC000_0080, 1 << 12

# CPUID leaves: (leaf, eax, ebx, ecx, edx) each.
Leaves = tuple[tuple[int, ...], ...]
# A CPU without a hypervisor's leaves. Leaf 0: the last leaf is 1, and the vendor is "GenuineIntel". Leaf 1: family 15,
# model 107, stepping 1, as QEMU's qemu64 has them; of the features only FPU (bit 0) and MSR (bit 5).
BARE_CPUID: Leaves = (
    (0x0000_0000, 0x1, 0x756E_6547, 0x6C65_746E, 0x4965_6E69),
    (0x0000_0001, 0x0006_0FB1, 0, 0, 0x0000_0021),
)


def hyperv_cpuid(*, reset: bool = True, crash: bool = True) -> Leaves:
    """Return the fewest CPUID leaves with which KVM offers its Hyper-V MSRs.

    KVM looks for "Hv#1" in leaf 0x40000001 (arch/x86/kvm/hyperv.c, kvm_hv_set_cpuid). reset and crash: whether the
    feature bits of HV_X64_MSR_RESET and of the crash MSRs are set, which KVM checks if CPUID is enforced.
    """
    return (
        *BARE_CPUID,
        # "Microsoft Hv".
        (hyperv.CPUID_VENDOR, hyperv.CPUID_LIMITS, 0x7263_694D, 0x666F_736F, 0x7648_2074),
        (hyperv.CPUID_INTERFACE, 0x3123_7648, 0, 0, 0),
        (hyperv.CPUID_VERSION, 0, 0, 0, 0),
        (hyperv.CPUID_FEATURES, RESET_AVAILABLE * reset, 0, 0, CRASH_AVAILABLE * crash),
        (hyperv.CPUID_RECOMMENDATIONS, 0, 0, 0, 0),
        (hyperv.CPUID_LIMITS, 0, 0, 0, 0),
    )


HYPERV_CPUID = hyperv_cpuid()
ENFORCE = ioctls.enable_cap(0, Capability.HYPERV_ENFORCE_CPUID, 1)


def set_cpuid(leaves: Leaves, vcpu: int = 0) -> Ioctl:
    """Return the step KVM_SET_CPUID2 with these leaves. struct kvm_cpuid_entry2 is 40 bytes."""
    entries = b"".join(struct.pack("<7I12x", leaf, 0, 0, *values) for leaf, *values in leaves)
    return Ioctl(vcpu, Request.SET_CPUID2, buffer=struct.pack("<II", len(leaves), 0) + entries)


def vm_with_vcpus(
    payload: str,
    *,
    cpuid: Leaves = HYPERV_CPUID,
    vcpus: int = 1,
    before_vcpus: tuple[Step, ...] = (),
    memory_flags: int = 0,
) -> tuple[Step, ...]:
    """Return the steps that make a VM with the payload in its memory, and vCPUs with these CPUID leaves.

    By default the vCPUs see Hyper-V. They run in flat 32-bit protected mode without an IDT: an exception becomes a
    triple fault. before_vcpus are steps that KVM only takes while the VM has no vCPU; memory_flags are
    those of its memory slot.
    """
    return (
        Vm(),
        Ioctl("vm", Request.SET_TSS_ADDR, TSS),
        Memory(RAM, RAM_SIZE, flags=memory_flags),
        Load(payload),
        *before_vcpus,
        *(Vcpu(number) for number in range(vcpus)),
        *(set_cpuid(cpuid, number) for number in range(vcpus)),
    )


def msrs(values: dict[int, int]) -> bytes:
    """Return struct kvm_msrs with these values by MSR index, for KVM_SET_MSRS and KVM_GET_MSRS.

    The first value is at offset 16, each next one 16 bytes after it.
    """
    entries = b"".join(struct.pack("<IIQ", index, 0, value) for index, value in values.items())
    return struct.pack("<II", len(values), 0) + entries


def set_msrs(label: str, values: dict[int, int], vcpu: int = 0) -> Ioctl:
    """Return the step KVM_SET_MSRS: it returns how many of these values, by index, were taken."""
    return Ioctl(vcpu, Request.SET_MSRS, buffer=msrs(values), label=label)


def get_msrs(label: str, *indices: int, vcpu: int = 0) -> Ioctl:
    """Return the step KVM_GET_MSRS. The first value is at offset 16 of the answer, each next one 16 bytes after it."""
    return Ioctl(vcpu, Request.GET_MSRS, buffer=msrs(dict.fromkeys(indices, 0)), label=label)


def registers(msr: int, value: int) -> tuple[int, ...]:
    """Return rax, rbx, rcx, rdx, rsi and rdi for a WRMSR of value to msr. KVM must not change rbx, rsi and rdi."""
    return (value & 0xFFFF_FFFF, 0x5E01, msr, value >> 32, 0x5E04, 0x5E05)


# scenario(name, *steps) returns a scenario of x86-64. Its name is given without the architecture.
scenario = functools.partial(scenario_of, "x86_64")


def wrmsr(
    name: str,
    msr: int,
    value: int,
    *,
    cpuid: Leaves = HYPERV_CPUID,
    setup: tuple[Step, ...] = (),
    symbol: str = "",
) -> Scenario:
    """Return a scenario in which vCPU 0 executes one WRMSR.

    The exit "exit" is what KVM_RUN returned then, and the answer "mp_state" is the vCPU's MP state afterwards. setup
    runs between the vCPU's creation and the instruction; symbol is the label of the payload where the vCPU starts
    ("": at its WRMSR).
    """
    return scenario(
        name,
        *vm_with_vcpus("wrmsr", cpuid=cpuid),
        *setup,
        Entry("wrmsr", registers(msr, value), symbol=symbol),
        *run("exit"),
        ioctls.get_mp_state(0, "mp_state"),
    )


# By KVM's module: the extension of the processor that it uses, a key in Facts.features.
VENDORS = {"kvm_amd": "svm", "kvm_intel": "vmx"}

# The capabilities, and whether Hyper-V's MSRs depend on its CPUID.
FACTS = scenario(
    "facts",
    *vm_with_vcpus("wrmsr", cpuid=BARE_CPUID),
    *(
        ioctls.check_extension(fd, capability)
        for capability in (
            Capability.SYSTEM_EVENT_DATA,
            Capability.X86_TRIPLE_FAULT_EVENT,
            Capability.HYPERV_ENFORCE_CPUID,
            Capability.HYPERV,
            Capability.X86_SMM,
            Capability.MCE,
            Capability.DIRTY_LOG_RING,
            Capability.X86_GUEST_MODE,
        )
        for fd in ("system", "vm")
    ),
    # The processor's virtualization, by the module that uses it: a directory also if it is built in.
    *(Open(f"/sys/module/{module}/parameters", kind, flags=0) for module, kind in VENDORS.items()),
    # Without Hyper-V's CPUID the MSR must not exist: shows whether this kernel checks CPUID.
    Entry("wrmsr", registers(MSR_RESET, 1)),
    *run("hyperv.gated"),
    # KVM_SET_MSRS returns how many MSRs it set: none if a guest may not use SVM (kvm_amd.nested=0), which makes a fact.
    set_msrs("nested.off", {EFER: _EFER_SVME}),
)


def intercept_xen_hypercalls(label: str = "") -> Ioctl:
    """Return the step after which KVM passes a guest's Xen hypercalls to userspace (KVM_EXIT_XEN, since v5.12).

    arch/x86/kvm/xen.c: KVM_XEN_HVM_CONFIG with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL and an MSR turns it on. The guest
    needs neither the MSR nor a hypercall page.
    """
    # struct kvm_xen_hvm_config: flags, msr, two addresses and sizes of hypercall pages, padding.
    config = struct.pack("<IIQQBB30x", xen.INTERCEPT_HCALL, _XEN_MSR, 0, 0, 0, 0)
    return Ioctl("vm", Request.SET_XEN_HVM_CONFIG, buffer=config, label=label)


# Whether this kernel can pass Xen hypercalls to userspace.
XEN = scenario("xen.facts", Vm(), intercept_xen_hypercalls("xen.intercept"))


# KVM_SET_GUEST_DEBUG: single-step vCPU 0, and stop doing so.
DEBUG_STEP = Ioctl(
    0, Request.SET_GUEST_DEBUG_X86, buffer=struct.pack("<II64x", GUESTDBG_ENABLE | GUESTDBG_SINGLESTEP, 0)
)
DEBUG_OFF = Ioctl(0, Request.SET_GUEST_DEBUG_X86, buffer=struct.pack("<II64x", 0, 0))
