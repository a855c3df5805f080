"""The facts that differ between architectures, and between userspace ABIs: one row each.

table.py has the architectures, abis.py the ABIs. Code elsewhere reads a column and compares no names; a table
in another package has one row for each architecture. tests/test_arches.py checks that all of them are complete.
"""

from __future__ import annotations

from sysevent.arches.abis import ABIS, Abi, ArchName
from sysevent.arches.table import ARCHITECTURES, Architecture
from sysevent.errors import UsageError

__all__ = [
    "ABIS",
    "ARCHITECTURES",
    "CHANNEL_MODULES",
    "NATIVE",
    "Abi",
    "ArchName",
    "Architecture",
    "abi",
    "architecture",
    "canonical",
    "native",
    "of_machine",
    "others",
    "resolve_abi",
]

# A guest's own channel is a virtio serial port; both are built in from Debian's 6.12 on, modules before.
CHANNEL_MODULES = ("virtio_pci", "virtio_console")
# The name, in --abi and in calls, of each architecture's own ABI.
NATIVE = "native"


def architecture(name: str) -> Architecture:
    """The architecture called name. UsageError if there is none; its message lists those that exist."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise UsageError(f"no architecture is called {name!r}; expected one of {known}") from None


def of_machine(machine: str) -> Architecture | None:
    """The architecture of machines on which `uname -m` prints this; None if it is not supported."""
    return next(
        (arch for arch in ARCHITECTURES.values() if machine in (arch.uname_machine, *arch.other_machines)),
        None,
    )


def canonical(name: str) -> str:
    """Our name of the architecture that others call name: Debian, `uname -m`, gcc or QEMU; name itself if none does."""
    plain = name.lower().replace("x86-64", "x86_64").replace("x64", "x86_64")
    for arch in ARCHITECTURES.values():
        qemu = arch.qemu.removeprefix("qemu-system-")
        gcc = arch.triplet.partition("-")[0]
        if plain in (arch.name, arch.debian, arch.uname_machine, *arch.other_machines, qemu, gcc):
            return arch.name
    return name


def abi(name: str) -> Abi:
    """The ABI called name. UsageError if there is none; its message lists those that exist."""
    try:
        return ABIS[name]
    except KeyError:
        raise UsageError(f"--abi {name}: expected one of {', '.join(ABIS)}") from None


def native(arch: str) -> Abi:
    """The ABI of the kernel itself on an architecture."""
    return ARCHITECTURES[arch].abis[0]


def resolve_abi(arch: str, name: str) -> str:
    """The name of an ABI in ABIS: for NATIVE, that of the architecture's own one; another name is returned unchanged.

    The own ABI of an architecture has the architecture's name, which a record may have without a row in ARCHITECTURES.
    """
    return arch if name == NATIVE else name


def others(arch: str) -> tuple[Abi, ...]:
    """The other ABIs whose programs could run on a kernel of that architecture."""
    return tuple(found for found in ABIS.values() if found.arch == arch)[1:]
