"""Xen hypercalls that KVM hands to userspace: KVM_EXIT_XEN and KVM_XEN_HVM_CONFIG of include/uapi/linux/kvm.h."""

from __future__ import annotations

from typing import Final

# KVM_EXIT_XEN_HCALL, in struct kvm_xen_exit.type, v5.12 (23200b7a30de)
EXIT_XEN_HCALL: Final = 1
# KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, in struct kvm_xen_hvm_config.flags, v5.12 (23200b7a30de)
INTERCEPT_HCALL: Final = 1 << 1
