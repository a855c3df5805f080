"""Capabilities: KVM_CAP_* of include/uapi/linux/kvm.h, what KVM_CHECK_EXTENSION and KVM_ENABLE_CAP take."""

from __future__ import annotations

from sysevent.abi.number import BEFORE_ALL, Number


class Capability(Number):
    """KVM_CAP_*. Facts.capabilities holds what KVM_CHECK_EXTENSION gave for it under `on_system` and `on_vm`."""

    MCE = 31, BEFORE_ALL, "", "x86_64"
    HYPERV = 44
    ARM_EL1_32BIT = 93
    X86_SMM = 117
    SPLIT_IRQCHIP = 121
    ARM_PMU_V3 = 126
    X2APIC_API = 129
    X86_DISABLE_EXITS = 143
    HYPERV_SYNIC2 = 148
    EXCEPTION_PAYLOAD = 164
    ARM_SVE = 170
    ARM_PTRAUTH_ADDRESS = 171
    ARM_PTRAUTH_GENERIC = 172
    ARM_NISV_TO_USER = 177
    HALT_POLL = 182
    STEAL_TIME = 187
    X86_USER_SPACE_MSR = 188, (5, 10)
    DIRTY_LOG_RING = 192, (5, 11)
    X86_BUS_LOCK_EXIT = 193, (5, 12)
    HYPERV_ENFORCE_CPUID = 199, (5, 14)
    ARM_MTE = 205, (5, 14)
    # ndata and data[16] in struct kvm_run.system_event
    SYSTEM_EVENT_DATA = 215, (5, 18), "d495f942f40a"
    ARM_SYSTEM_SUSPEND = 216, (5, 19), "bfbab4456877"
    X86_TRIPLE_FAULT_EVENT = 218, (6, 0), "ed2351174e38"
    DIRTY_LOG_RING_ACQ_REL = 223, (6, 1)
    COUNTER_OFFSET = 227, (6, 4)
    ARM_EAGER_SPLIT_CHUNK_SIZE = 228, (6, 5)
    X86_GUEST_MODE = 238, (6, 10)
    ARM_EL2 = 240, (6, 16)
    RISCV_MP_STATE_RESET = 242, (6, 16)

    @property
    def on_system(self) -> str:
        """The name of the answer of /dev/kvm: system/215."""
        return fact("system", self)

    @property
    def on_vm(self) -> str:
        """The name of the answer of a VM: vm/215."""
        return fact("vm", self)


def fact(fd: str, capability: int) -> str:
    """The name in Facts.capabilities of the answer of fd, which is "system" or "vm"."""
    return f"{fd}/{int(capability)}"
