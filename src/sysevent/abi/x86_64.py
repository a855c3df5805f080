"""What only x86's KVM has: arch/x86/include/uapi/asm/kvm.h."""

from __future__ import annotations

from typing import Final

# KVM_SYNC_X86_REGS, in struct kvm_run.kvm_valid_regs
SYNC_REGS: Final = 1 << 0

# KVM_RUN_X86_SMM, in struct kvm_run.flags
RUN_SMM: Final = 1 << 0
# KVM_RUN_X86_GUEST_MODE, in the same place, v6.10
RUN_GUEST_MODE: Final = 1 << 2

# KVM_VCPUEVENT_VALID_TRIPLE_FAULT, in struct kvm_vcpu_events.flags, v6.0 (ed2351174e38)
VCPUEVENT_VALID_TRIPLE_FAULT: Final = 1 << 5

# KVM_VCPUEVENT_VALID_SMM, in the same place
VCPUEVENT_VALID_SMM: Final = 1 << 3
# KVM_VCPUEVENT_VALID_PAYLOAD, in the same place
VCPUEVENT_VALID_PAYLOAD: Final = 1 << 4

# UD_VECTOR, of arch/x86/include/asm/trapnr.h: the exception of an invalid opcode
UD_VECTOR: Final = 6
# DF_VECTOR: a double fault
DF_VECTOR: Final = 8

# KVM_VCPUEVENT_VALID_NMI_PENDING, _SIPI_VECTOR and _SHADOW, in the same place
VCPUEVENT_VALID_NMI_PENDING: Final = 1 << 0
VCPUEVENT_VALID_SIPI_VECTOR: Final = 1 << 1
VCPUEVENT_VALID_SHADOW: Final = 1 << 2

# Control registers and EFER: the AMD64 Architecture Programmer's Manual, volume 2, chapter 3.
CR0_PE: Final = 1 << 0
CR0_PG: Final = 1 << 31
# CR0 after a reset: CD, NW and ET.
CR0_RESET: Final = 0x6000_0010
CR4_PSE: Final = 1 << 4
CR4_PAE: Final = 1 << 5
CR4_MCE: Final = 1 << 6
EFER_LME: Final = 1 << 8
EFER_LMA: Final = 1 << 10
RFLAGS_RESET: Final = 1 << 1

# Machine checks: the same manual, chapter 9. In IA32_MCG_CAP bit 8: there is an IA32_MCG_CTL.
MCG_CTL_P: Final = 1 << 8
# In a bank's status: valid, uncorrected, enabled, and the processor's context is corrupt.
MCI_STATUS_VAL: Final = 1 << 63
MCI_STATUS_UC: Final = 1 << 61
MCI_STATUS_EN: Final = 1 << 60
MCI_STATUS_PCC: Final = 1 << 57
# In IA32_MCG_STATUS: a machine check is in progress, and the guest can go on.
MCG_STATUS_MCIP: Final = 1 << 2
MCG_STATUS_RIPV: Final = 1 << 0
# Indices of IA32_MCG_CTL and IA32_MC0_CTL.
MSR_MCG_CTL: Final = 0x17B
MSR_MC0_CTL: Final = 0x400

# KVM_MSR_EXIT_REASON_INVAL and _FILTER, for KVM_CAP_X86_USER_SPACE_MSR, and in struct kvm_run.msr.reason
MSR_EXIT_INVAL: Final = 1 << 0
MSR_EXIT_FILTER: Final = 1 << 2
# KVM_X86_SET_MSR_FILTER, v5.10. Not in Request: its structure, and so its number, is another one for 32-bit programs.
SET_MSR_FILTER: Final = 0x4188_AEC6
# KVM_MSR_FILTER_WRITE, in struct kvm_msr_filter_range.flags
MSR_FILTER_WRITE: Final = 1 << 1

# IA32_APIC_BASE: the address, enabled, in x2APIC mode, of the processor that boots. In CPUID leaf 1: ECX, and EDX.
MSR_APIC_BASE: Final = 0x1B
APIC_BASE_X2APIC: Final = 0xFEE0_0D00
CPUID_X2APIC: Final = 1 << 21
CPUID_APIC: Final = 1 << 9
# MSR_KVM_SYSTEM_TIME_NEW and MSR_KVM_STEAL_TIME of arch/x86/include/uapi/asm/kvm_para.h: an address, and bit 0.
MSR_KVM_SYSTEM_TIME: Final = 0x4B56_4D01
MSR_KVM_STEAL_TIME: Final = 0x4B56_4D03

# The hypercall KVM_HC_KICK_CPU of include/uapi/linux/kvm_para.h: flags in rbx, the APIC ID of a vCPU in rcx.
HC_KICK_CPU: Final = 5

# Of KVM_SIGNAL_MSI: the address is that of local APICs, with an APIC ID from bit 12 on, and the data is a delivery mode
# from bit 8 on, with a vector.
MSI_ADDRESS: Final = 0xFEE0_0000
MSI_ID_SHIFT: Final = 12
MSI_INIT: Final = 5 << 8
MSI_STARTUP: Final = 6 << 8
