"""The userspace ABIs: what a VMM is compiled for, and what a kernel's headers are compiled for.

virt/kvm/Kconfig, KVM_COMPAT: x86 has it; ARM64 and (since v5.18, afec0c65d09d) RISCV do not, so that
virt/kvm/kvm_main.c, kvm_no_compat_open refuses a 32-bit program there with ENODEV.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# The names of the architectures in this project; their rows are in table.py.
ArchName = Literal["arm64", "riscv64", "x86_64"]


class Abi(NamedTuple):
    """One userspace ABI."""

    # The name in --abi, in $CC_<name> and in run.jsonl.
    name: str
    # The architecture of the kernels that can run its programs.
    arch: ArchName
    # Its number on the wire, ABI_NUMBER of guests/vmm/sys/<name>.h. 0: only headers are compiled for it, no VMM.
    number: int
    # The argument of `zig cc -target`.
    zig_target: str
    # The prefix of a cross compiler: <prefix>gcc.
    gnu_prefix: str
    # Further flags of every compiler, for the programs of this project; headers are compiled without them.
    flags: tuple[str, ...] = ()
    # Further flags of zig only.
    zig_flags: tuple[str, ...] = ()
    # Bytes that a 64-bit integer is aligned to within a structure.
    u64_alignment: int = 8
    # Why no program of this ABI can use KVM; "" if it can. If a VMM is built all the same, only the claim about that
    # refusal is checked with it.
    unreachable: str = ""
    # C code that must precede the kernel's headers.
    prelude: str = ""

    @property
    def can_use_kvm(self) -> bool:
        """True if programs of this ABI can use KVM."""
        return not self.unreachable


# Headers may use the compiler's 128-bit types, which 32-bit targets lack: 16 bytes, aligned. asm/ptrace.h of arm64 has
# __uint128_t, and since v7.3 the kernel's name for it, which linux/types.h then only defines for 64-bit targets
# (d4bf9e08d412).
_WIDE = "typedef struct { unsigned long long low, high; } __attribute__((aligned(16))) "
_WIDE += "__int128_t, __uint128_t, __s128, __u128;"
_NO_COMPAT = "KVM_COMPAT is never selected there (virt/kvm/Kconfig): open of /dev/kvm gives ENODEV"

# The first of each architecture is the kernel's own ABI: what the kernel itself was compiled with.
ABIS = {
    abi.name: abi
    for abi in (
        Abi(
            name="x86_64",
            arch="x86_64",
            number=1,
            zig_target="x86_64-freestanding-none",
            gnu_prefix="x86_64-linux-gnu-",
            flags=("-mno-red-zone",),
        ),
        Abi(
            name="i386",
            arch="x86_64",
            number=2,
            zig_target="x86-freestanding-none",
            gnu_prefix="i686-linux-gnu-",
            flags=("-march=i686",),
            u64_alignment=4,
            prelude=_WIDE,
        ),
        Abi(
            name="x32",
            arch="x86_64",
            number=0,
            zig_target="x86_64-freestanding-gnux32",
            gnu_prefix="x86_64-linux-gnux32-",
        ),
        Abi(
            name="arm64",
            arch="arm64",
            number=3,
            zig_target="aarch64-freestanding-none",
            gnu_prefix="aarch64-linux-gnu-",
            flags=("-mgeneral-regs-only",),
        ),
        Abi(
            name="arm",
            arch="arm64",
            number=5,
            zig_target="arm-freestanding-eabi",
            # Not gnueabi: the Armv5 that it compiles for has no atomic instructions.
            gnu_prefix="arm-linux-gnueabihf-",
            flags=("-marm",),
            # Likewise: zig's default has none.
            zig_flags=("-mcpu=cortex_a7",),
            unreachable=_NO_COMPAT,
            prelude=_WIDE,
        ),
        Abi(
            name="riscv64",
            arch="riscv64",
            number=4,
            zig_target="riscv64-freestanding-none",
            gnu_prefix="riscv64-linux-gnu-",
            flags=("-mabi=lp64d",),
        ),
        Abi(
            name="riscv32",
            arch="riscv64",
            number=0,
            zig_target="riscv32-freestanding-none",
            gnu_prefix="riscv32-linux-gnu-",
            unreachable=_NO_COMPAT,
            prelude=_WIDE,
        ),
    )
}


def of_vmms(arch: ArchName) -> tuple[Abi, ...]:
    """The ABIs of an architecture that a VMM is built for, the kernel's own first."""
    return tuple(abi for abi in ABIS.values() if abi.arch == arch and abi.number)
