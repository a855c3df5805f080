"""Debugging a guest: KVM_GUESTDBG_* and KVM_EXIT_DEBUG of include/uapi/linux/kvm.h and asm/kvm.h."""

from __future__ import annotations

from typing import Final

# struct kvm_guest_debug.control
GUESTDBG_ENABLE: Final = 1 << 0
GUESTDBG_SINGLESTEP: Final = 1 << 1
# The same on arm64 and x86, in asm/kvm.h
GUESTDBG_USE_SW_BP: Final = 1 << 16

# KVM_DEBUG_ARCH_HSR_HIGH_VALID, in struct kvm_run.flags of arm64, v5.19 (18f3976fdb5d)
HSR_HIGH_VALID: Final = 1 << 0
