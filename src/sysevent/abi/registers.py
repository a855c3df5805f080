"""The registers that come back with an exit, in the order in which guests/vmm/arch/*.c reads them."""

from __future__ import annotations

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

PC = {"arm64": "pc", "riscv64": "pc", "x86_64": "rip"}
