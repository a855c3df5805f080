"""The userspace ABIs that a kernel's headers are compiled for, and which of them can reach which kernel.

virt/kvm/Kconfig, KVM_COMPAT: x86 has it; ARM64 and (since v5.18, afec0c65d09d) RISCV do not, so that
virt/kvm/kvm_main.c, kvm_no_compat_open refuses a 32-bit program there with ENODEV.
"""

from __future__ import annotations

import msgspec

from sysevent.arches import Abi
from sysevent.errors import UsageError


class Userspace(msgspec.Struct, frozen=True):
    """One userspace ABI."""

    abi: Abi  # how to compile for it; never on the wire unless it is also an ABI of our VMM
    arch: str  # of the kernel it talks to, by our name
    unreachable: str = ""  # why no program of this ABI gets to KVM; "" when one can
    prelude: str = ""  # C that must stand before the headers

    @property
    def name(self) -> str:
        return self.abi.name


_NO_COMPAT = "KVM_COMPAT is never selected there (virt/kvm/Kconfig): open of /dev/kvm gives ENODEV"
# asm/ptrace.h of arm64 uses the compiler's own 128-bit type, which 32-bit targets lack: 16 bytes, so aligned.
_UINT128 = "typedef struct { unsigned long long low, high; } __attribute__((aligned(16))) __uint128_t;"

USERSPACES = {
    userspace.name: userspace
    for userspace in (
        # The first of each architecture is the kernel's own ABI: what the kernel itself was compiled with.
        Userspace(Abi("x86_64", 1, "x86_64-freestanding-none", "x86_64-linux-gnu-", (), 8), "x86_64"),
        Userspace(Abi("i386", 2, "x86-freestanding-none", "i686-linux-gnu-", (), 4), "x86_64"),
        Userspace(Abi("x32", 0, "x86_64-freestanding-gnux32", "x86_64-linux-gnux32-", (), 4), "x86_64"),
        Userspace(Abi("arm64", 3, "aarch64-freestanding-none", "aarch64-linux-gnu-", (), 8), "arm64"),
        Userspace(
            Abi("arm", 0, "arm-freestanding-eabi", "arm-linux-gnueabi-", (), 4), "arm64", _NO_COMPAT, _UINT128
        ),
        Userspace(Abi("riscv64", 4, "riscv64-freestanding-none", "riscv64-linux-gnu-", (), 8), "riscv64"),
        Userspace(
            Abi("riscv32", 0, "riscv32-freestanding-none", "riscv32-linux-gnu-", (), 4), "riscv64", _NO_COMPAT
        ),
    )
}


def userspace(name: str) -> Userspace:
    """The ABI called name; UsageError names the ones there are."""
    try:
        return USERSPACES[name]
    except KeyError:
        raise UsageError(f"--abi {name}: there are {', '.join(USERSPACES)}") from None


def native(arch: str) -> Userspace:
    """The ABI of the kernel itself on an architecture."""
    return next(found for found in USERSPACES.values() if found.arch == arch)


def others(arch: str) -> tuple[Userspace, ...]:
    """The other ABIs whose programs could run on a kernel of that architecture."""
    return tuple(found for found in USERSPACES.values() if found.arch == arch)[1:]
