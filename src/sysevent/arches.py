"""One row per architecture: what the outside world calls it and what its guests need.

Adding an architecture starts here; its C code goes to guests/vmm/arch/, its payloads to
guests/payloads/, its claims to contract/.
"""

from __future__ import annotations

import msgspec

from sysevent.errors import UsageError


class Abi(msgspec.Struct, frozen=True):
    """One userspace ABI that a VMM can be compiled for."""

    name: str  # as in --abi and in run.jsonl
    number: int  # on the wire (guests/vmm/wire.h)
    zig_target: str  # for `zig cc -target`
    gnu_prefix: str  # of a cross gcc: <prefix>gcc
    flags: tuple[str, ...]  # what the compiler must also be told
    word: int  # bytes in a long
    zig_flags: tuple[str, ...] = ()  # what zig alone must be told
    kvm: bool = True  # False: KVM refuses a process of this ABI, which is all there is to claim about it


class Architecture(msgspec.Struct, frozen=True):
    """One architecture of L1 guests."""

    name: str  # ours, as in --arch and in target names
    debian: str  # Debian's name for it
    kernel: str  # arch/<this> in the kernel tree
    qemu: str  # QEMU's system emulator
    qemu_package: str  # key into the table of doctor/package_managers.py
    machine: str  # what uname -m says
    elf_machine: str  # pyelftools' name of e_machine
    kvm_modules: tuple[
        str, ...
    ]  # what to load for /dev/kvm, when it is not built in; dependencies come along
    console: str  # the kernel's name of the first serial line
    abis: tuple[Abi, ...]  # native first


# A guest's own channel is a virtio serial port; both are built in from Debian's 6.12 on, modules before.
CHANNEL_MODULES = ("virtio_pci", "virtio_console")

_X86_64 = Abi("x86_64", 1, "x86_64-freestanding-none", "x86_64-linux-gnu-", ("-mno-red-zone",), 8)
_I386 = Abi("i386", 2, "x86-freestanding-none", "i686-linux-gnu-", ("-march=i686",), 4)
_ARM64 = Abi("arm64", 3, "aarch64-freestanding-none", "aarch64-linux-gnu-", ("-mgeneral-regs-only",), 8)
_ARM = Abi(
    "arm",
    5,
    "arm-freestanding-eabi",
    "arm-linux-gnueabihf-",
    ("-marm",),
    4,
    kvm=False,
    zig_flags=("-mcpu=cortex_a7",),  # its default has no atomic instructions
)
_RISCV64 = Abi("riscv64", 4, "riscv64-freestanding-none", "riscv64-linux-gnu-", ("-mabi=lp64d",), 8)

ARCHITECTURES = {
    arch.name: arch
    for arch in (
        Architecture(
            name="arm64",
            debian="arm64",
            kernel="arm64",
            qemu="qemu-system-aarch64",
            qemu_package="qemu-arm",
            machine="aarch64",
            elf_machine="EM_AARCH64",
            kvm_modules=(),  # KVM cannot be a module on arm64
            console="ttyAMA0",
            abis=(_ARM64, _ARM),
        ),
        Architecture(
            name="riscv64",
            debian="riscv64",
            kernel="riscv",
            qemu="qemu-system-riscv64",
            qemu_package="qemu-riscv",
            machine="riscv64",
            elf_machine="EM_RISCV",
            kvm_modules=("kvm",),
            console="ttyS0",
            abis=(_RISCV64,),
        ),
        Architecture(
            name="x86_64",
            debian="amd64",
            kernel="x86",
            qemu="qemu-system-x86_64",
            qemu_package="qemu-x86",
            machine="x86_64",
            elf_machine="EM_X86_64",
            # The vendor module that does not fit the CPU refuses to load; QEMU's TCG models are AMD's.
            kvm_modules=("kvm-amd", "kvm-intel"),
            console="ttyS0",
            abis=(_X86_64, _I386),
        ),
    )
}


def architecture(name: str) -> Architecture:
    """The row called name; UsageError names the ones there are."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise UsageError(f"no architecture is called {name!r}; there are {known}") from None
