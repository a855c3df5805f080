"""Registers of a vCPU: the order in which they come back with an exit, and their KVM_GET_ONE_REG ids."""

from __future__ import annotations

from typing import Final

# The order in which guests/vmm/arch/*.c reads them.
REGISTERS: dict[str, tuple[str, ...]] = {
    "arm64": (*(f"x{n}" for n in range(31)), "sp", "pc", "pstate"),
    # x1..x31 by their names in the calling convention
    "riscv64": (
        *("pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
        *(f"a{n}" for n in range(8)),
        *(f"s{n}" for n in range(2, 12)),
        *("t3", "t4", "t5", "t6", "mode"),
    ),
    # struct kvm_regs, then three of struct kvm_sregs
    "x86_64": (
        *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"),
        *(f"r{n}" for n in range(8, 16)),
        *("rip", "rflags", "cs.base", "cs.selector", "cr0"),
    ),
}

# The program counter.
PC: dict[str, str] = {"arm64": "pc", "riscv64": "pc", "x86_64": "rip"}

# An id is an architecture, a size, a group of registers, and an index: include/uapi/linux/kvm.h, KVM_REG_*.
_ARM64: Final = 0x6000_0000_0000_0000
_RISCV: Final = 0x8000_0000_0000_0000
_SIZE_U64: Final = 0x0030_0000_0000_0000

# KVM_REG_ARM_CORE; an index into struct kvm_regs in units of 32 bits.
_ARM64_CORE: Final = 0x0010_0000
# KVM_REG_RISCV_CORE; an index into struct kvm_riscv_core.
_RISCV_CORE: Final = 0x0200_0000
_RISCV_A0: Final = 10
# KVM_REG_RISCV_CSR; an index into struct kvm_riscv_csr.
_RISCV_CSR: Final = 0x0300_0000
# KVM_REG_RISCV_SBI_EXT | KVM_REG_RISCV_SBI_SINGLE, v6.4; the index is a number of abi/sbi.py, EXT_*.
_RISCV_SBI_EXT: Final = 0x0800_0000
# KVM_REG_RISCV_SBI_MULTI_EN, KVM_REG_RISCV_SBI_MULTI_DIS; their index is 0 for extensions 0 to 63.
_RISCV_SBI_ON: Final = 1 << 16
_RISCV_SBI_OFF: Final = 2 << 16

# KVM_REG_ARM_PSCI_VERSION of arch/arm64/include/uapi/asm/kvm.h: KVM_REG_ARM_FW, index 0.
ARM64_PSCI_VERSION: Final = _ARM64 | _SIZE_U64 | 0x0014_0000


# SCTLR_EL1: KVM_REG_ARM64_SYSREG, op0 3, op1 0, CRn 1, CRm 0, op2 0.
ARM64_SCTLR: Final = _ARM64 | _SIZE_U64 | 0x0013_C080


def arm64_x(number: int) -> int:
    """The id of the general register x<number>."""
    return _ARM64 | _SIZE_U64 | _ARM64_CORE | 2 * number


def riscv64_a(number: int) -> int:
    """The id of the argument register a<number>."""
    return _RISCV | _SIZE_U64 | _RISCV_CORE | _RISCV_A0 + number


def riscv64_csr(number: int) -> int:
    """The id of a control register by its number in struct kvm_riscv_csr."""
    return _RISCV | _SIZE_U64 | _RISCV_CSR | number


def riscv64_sbi_many(on: int) -> int:
    """The id of the register that turns every SBI extension on (1) or off (0) whose bit is set in its value."""
    return _RISCV | _SIZE_U64 | _RISCV_SBI_EXT | (_RISCV_SBI_ON if on else _RISCV_SBI_OFF)


def riscv64_sbi(extension: int) -> int:
    """The id of the register that turns an SBI extension of a hart on and off."""
    return _RISCV | _SIZE_U64 | _RISCV_SBI_EXT | extension
