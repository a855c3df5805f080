"""Capabilities: KVM_CAP_* of include/uapi/linux/kvm.h, what KVM_CHECK_EXTENSION and KVM_ENABLE_CAP take."""

from __future__ import annotations

from sysevent.abi.number import Number


class Capability(Number):
    """KVM_CAP_*."""

    HYPERV = 44
    ARM_EL1_32BIT = 93
    HYPERV_ENFORCE_CPUID = 199, (5, 14)
    # d495f942f40a: ndata and data[16] in struct kvm_run.system_event
    SYSTEM_EVENT_DATA = 215, (5, 18)
    # bfbab4456877
    ARM_SYSTEM_SUSPEND = 216, (5, 19)
    # ed2351174e38
    X86_TRIPLE_FAULT_EVENT = 218, (6, 0)
