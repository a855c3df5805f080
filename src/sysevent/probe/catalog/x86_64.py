"""Scenarios for x86-64: Hyper-V's synthetic MSRs and the triple fault. Numbers from the Hyper-V TLFS."""

from __future__ import annotations

import struct

from sysevent.probe import ioctls
from sysevent.probe.scenario import Entry, Ioctl, Load, Memory, Scenario, Step, Vcpu, Vm, run

MSR_RESET = 0x4000_0003
MSR_CRASH_CTL = 0x4000_0105
CRASH_NOTIFY = 1 << 63

RAM = 0x10_0000
RAM_SIZE = 0x1_0000
RETURNED_PORT = 0xE9  # where payloads write to when the instruction came back
TSS = 0xFFFB_D000  # for VMX without unrestricted guests; SVM does not look at it

# (leaf, eax, ebx, ecx, edx): as little as makes KVM offer its Hyper-V MSRs. arch/x86/kvm/hyperv.c,
# kvm_hv_set_cpuid: leaf 0x40000001 must say "Hv#1".
HYPERV_CPUID = (
    (0x0000_0000, 0x1, 0x756E_6547, 0x6C65_746E, 0x4965_6E69),
    (0x0000_0001, 0x0006_0FB1, 0, 0, 0x0000_0021),
    (0x4000_0000, 0x4000_0005, 0x7263_694D, 0x666F_736F, 0x7648_2074),  # "Microsoft Hv"
    (0x4000_0001, 0x3123_7648, 0, 0, 0),
    (0x4000_0002, 0, 0, 0, 0),
    (0x4000_0003, 1 << 7, 0, 0, 1 << 10),  # HV_MSR_RESET_AVAILABLE; guest crash MSRs available
    (0x4000_0004, 0, 0, 0, 0),
    (0x4000_0005, 0, 0, 0, 0),
)


def set_cpuid(leaves: tuple[tuple[int, ...], ...], vcpu: int = 0) -> Ioctl:
    """KVM_SET_CPUID2 with these leaves; struct kvm_cpuid_entry2 is 40 bytes."""
    entries = b"".join(struct.pack("<7I12x", leaf, 0, 0, *values) for leaf, *values in leaves)
    return Ioctl(vcpu, ioctls.SET_CPUID2, buffer=struct.pack("<II", len(leaves), 0) + entries)


def machine(payload: str, *, cpuid: tuple[tuple[int, ...], ...] = HYPERV_CPUID) -> tuple[Step, ...]:
    """One vCPU in flat protected mode that believes to be under Hyper-V."""
    setup: tuple[Step, ...] = (
        Vm(),
        Ioctl("vm", ioctls.SET_TSS_ADDR, TSS),
        Memory(RAM, RAM_SIZE),
        Load(payload),
        Vcpu(0),
    )
    return (*setup, set_cpuid(cpuid)) if cpuid else setup


def wrmsr(name: str, msr: int, value: int) -> Scenario:
    """One WRMSR on one vCPU; what it leads to is the exit "exit"."""
    # rax, rbx, rcx, rdx, rsi, rdi
    registers = (value & 0xFFFF_FFFF, 0x5E01, msr, value >> 32, 0x5E04, 0x5E05)
    return Scenario(
        name,
        "x86_64",
        (*machine("wrmsr"), Entry("wrmsr", registers), *run("exit"), ioctls.get_mp_state(0, "mp_state")),
    )


FACTS = Scenario(
    "x86_64.facts",
    "x86_64",
    (
        Vm(),
        *(
            ioctls.check_extension(fd, capability)
            for capability in (
                ioctls.CAP_SYSTEM_EVENT_DATA,
                ioctls.CAP_X86_TRIPLE_FAULT_EVENT,
                ioctls.CAP_HYPERV_ENFORCE_CPUID,
            )
            for fd in ("system", "vm")
        ),
    ),
)

SCENARIOS = (
    wrmsr("x86_64.hyperv.reset", MSR_RESET, 1),
    wrmsr("x86_64.hyperv.crash", MSR_CRASH_CTL, CRASH_NOTIFY),
    Scenario(
        "x86_64.triple_fault",
        "x86_64",
        (
            *machine("triple_fault"),
            Entry("triple_fault"),
            *run("exit"),
            ioctls.get_mp_state(0, "mp_state"),
        ),
    ),
)
