"""Request numbers of KVM's ioctls: include/uapi/linux/kvm.h. A number carries the size of its structure.

The steps that are made of them are in scenario/ioctls.py.
"""

from __future__ import annotations

from sysevent.abi.number import BEFORE_ALL, Number


class Request(Number):
    """The number of an ioctl: KVM_<name>, or the macro that its row names."""

    CHECK_EXTENSION = 0xAE03
    SET_TSS_ADDR = 0xAE47
    CREATE_IRQCHIP = 0xAE60
    # struct kvm_dirty_log holds a pointer.
    GET_DIRTY_LOG = 0x4010AE42
    # struct kvm_irq_level
    IRQ_LINE = 0x4008AE61
    # struct kvm_xen_hvm_config is 56 bytes.
    SET_XEN_HVM_CONFIG = 0x4038AE7A, BEFORE_ALL, "", "x86_64", "KVM_XEN_HVM_CONFIG"
    # struct kvm_regs is 144 bytes, struct kvm_sregs 312.
    SET_REGS_X86 = 0x4090AE82, BEFORE_ALL, "", "x86_64", "KVM_SET_REGS"
    SET_SREGS_X86 = 0x4138AE84, BEFORE_ALL, "", "x86_64", "KVM_SET_SREGS"
    # The numbers of these three hold the size of their structure's head alone.
    GET_MSRS = 0xC008AE88, BEFORE_ALL, "", "x86_64"
    SET_MSRS = 0x4008AE89, BEFORE_ALL, "", "x86_64"
    SET_CPUID2 = 0x4008AE90, BEFORE_ALL, "", "x86_64"
    # struct kvm_interrupt
    INTERRUPT = 0x4004AE86
    # struct kvm_msi is 32 bytes.
    SIGNAL_MSI = 0x4020AEA5
    # struct kvm_mp_state
    GET_MP_STATE = 0x8004AE98
    SET_MP_STATE = 0x4004AE99
    NMI = 0xAE9A, BEFORE_ALL, "", "x86_64"
    # struct kvm_guest_debug is 520 bytes on arm64, 8 on riscv64, and 72 on x86.
    SET_GUEST_DEBUG_ARM64 = 0x4208AE9B, BEFORE_ALL, "", "arm64", "KVM_SET_GUEST_DEBUG"
    SET_GUEST_DEBUG_RISCV64 = 0x4008AE9B, BEFORE_ALL, "", "riscv64", "KVM_SET_GUEST_DEBUG"
    SET_GUEST_DEBUG_X86 = 0x4048AE9B, BEFORE_ALL, "", "x86_64", "KVM_SET_GUEST_DEBUG"
    # A u64, the value of IA32_MCG_CAP; struct kvm_x86_mce is 64 bytes.
    X86_SETUP_MCE = 0x4008AE9C, BEFORE_ALL, "", "x86_64"
    X86_SET_MCE = 0x4040AE9E, BEFORE_ALL, "", "x86_64"
    # struct kvm_vcpu_events is 64 bytes.
    GET_VCPU_EVENTS_X86 = 0x8040AE9F, BEFORE_ALL, "", "x86_64", "KVM_GET_VCPU_EVENTS"
    SET_VCPU_EVENTS_X86 = 0x4040AEA0, BEFORE_ALL, "", "x86_64", "KVM_SET_VCPU_EVENTS"
    # struct kvm_enable_cap is 104 bytes.
    ENABLE_CAP = 0x4068AEA3
    # struct kvm_one_reg
    GET_ONE_REG = 0x4010AEAB
    SET_ONE_REG = 0x4010AEAC
    # struct kvm_vcpu_init
    ARM_VCPU_INIT = 0x4020AEAE, BEFORE_ALL, "", "arm64"
    # struct kvm_arm_counter_offset
    ARM_SET_COUNTER_OFFSET = 0x4010AEB5, (6, 4), "", "arm64"
    ARM_VCPU_FINALIZE = 0x4004AEC2
    # struct kvm_create_device
    CREATE_DEVICE = 0xC00CAEE0
    # struct kvm_device_attr
    SET_DEVICE_ATTR = 0x4018AEE1
    HAS_DEVICE_ATTR = 0x4018AEE3
