"""What only arm64's KVM has: arch/arm64/include/uapi/asm/kvm.h."""

from __future__ import annotations

from typing import Final

# KVM_ARM_VCPU_*: bits of struct kvm_vcpu_init.features[0]
# The vCPU starts as STOPPED.
VCPU_POWER_OFF: Final = 1 << 0
VCPU_EL1_32BIT: Final = 1 << 1
# Without it the guest gets PSCI 0.1.
VCPU_PSCI_0_2: Final = 1 << 2
VCPU_PMU_V3: Final = 1 << 3
# It must be finalized before the vCPU runs.
VCPU_SVE: Final = 1 << 4
VCPU_PTRAUTH_ADDRESS: Final = 1 << 5
VCPU_PTRAUTH_GENERIC: Final = 1 << 6
VCPU_HAS_EL2: Final = 1 << 7

# KVM_VM_TYPE_ARM_PROTECTED: with kvm-arm.mode=protected.
VM_TYPE_PROTECTED: Final = 1 << 31

# KVM_ARM_TARGET_GENERIC_V8: what KVM_ARM_PREFERRED_TARGET gives on every CPU of today.
TARGET_GENERIC_V8: Final = 5

# Of KVM_IRQ_LINE: a type << 24 | the vCPU << 16 | a number. A CPU has the input only without an interrupt controller in
# the kernel.
IRQ_TYPE_CPU: Final = 0
IRQ_TYPE_SPI: Final = 1
IRQ_TYPE_PPI: Final = 2
IRQ_CPU_IRQ: Final = 0

# Group and attribute of KVM_SET_DEVICE_ATTR on a VM: v6.4 (821d935c87bc).
VM_SMCCC_CTRL: Final = 0
VM_SMCCC_FILTER: Final = 0
# enum kvm_smccc_filter_action, for that attribute
SMCCC_FILTER_HANDLE: Final = 0
SMCCC_FILTER_DENY: Final = 1
SMCCC_FILTER_FWD_TO_USER: Final = 2
# KVM_HYPERCALL_EXIT_SMC, a flag of that exit
HYPERCALL_EXIT_SMC: Final = 1

# Groups and attributes of KVM_SET_DEVICE_ATTR on a vCPU.
VCPU_PMU_V3_CTRL: Final = 0
VCPU_PMU_V3_IRQ: Final = 0
VCPU_PMU_V3_INIT: Final = 1
VCPU_PVTIME_CTRL: Final = 2
VCPU_PVTIME_IPA: Final = 0
