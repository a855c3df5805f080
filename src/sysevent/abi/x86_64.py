"""What only x86's KVM has: arch/x86/include/uapi/asm/kvm.h."""

from __future__ import annotations

from typing import Final

# KVM_SYNC_X86_REGS, in struct kvm_run.kvm_valid_regs
SYNC_REGS: Final = 1 << 0

# KVM_VCPUEVENT_VALID_TRIPLE_FAULT, in struct kvm_vcpu_events.flags, v6.0 (ed2351174e38)
VCPUEVENT_VALID_TRIPLE_FAULT: Final = 1 << 5

# KVM_VCPUEVENT_VALID_SMM, in the same place
VCPUEVENT_VALID_SMM: Final = 1 << 3

# UD_VECTOR, of arch/x86/include/asm/trapnr.h: the exception of an invalid opcode
UD_VECTOR: Final = 6
