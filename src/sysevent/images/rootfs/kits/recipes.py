"""Which VMMs can be had, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sysevent.arches import ARCHITECTURES, ArchName


class Recipe(msgspec.Struct, frozen=True):
    """A VMM, or what it is built of, out of Debian's packages."""

    # Of the kit.
    name: str
    # Suites in this order; the first with the version counts.
    suites: tuple[str, ...]
    # How the upstream version of the package begins: a suite moves on to later ones.
    version: str
    # By architecture: the packages that may have it, the smallest first.
    packages: Mapping[ArchName, tuple[str, ...]]
    # By architecture: package -> paths in it, of what the program reads at run time.
    data: Mapping[ArchName, Mapping[str, tuple[str, ...]]] = {}


# As in the indices of 2026-11: qemu-system-misc has RISC-V up to 9.x, and 40 MB of other machines.
_PACKAGES: Mapping[ArchName, tuple[str, ...]] = {
    "arm64": ("qemu-system-arm",),
    "riscv64": ("qemu-system-riscv", "qemu-system-misc"),
    "x86_64": ("qemu-system-x86",),
}
# Without -bios none, QEMU's other machines would need firmware as well. kvmvapic.bin: hw/i386/vapic.c, which maps it
# over the ROM of every guest of KVM without an APIC that is virtualised by the CPU.
_DATA: Mapping[ArchName, Mapping[str, tuple[str, ...]]] = {
    "arm64": {},
    "riscv64": {},
    "x86_64": {"qemu-system-data": ("usr/share/qemu/kvmvapic.bin",)},
}

QEMU: tuple[Recipe, ...] = tuple(
    Recipe(f"qemu-{release}", suites, f"{release}.", _PACKAGES, _DATA)
    for release, suites in (
        ("5.2", ("bullseye",)),
        ("7.2", ("bookworm",)),
        ("10", ("trixie",)),
        # forky will move to a later release.
        ("11", ("forky", "sid")),
    )
)

# A VMM of this project on rust-vmm's crates. The older one compiles with Rust 1.63, and the newer one needs 1.85, as
# the crates of 2026-11 say.
_CRATE: Mapping[ArchName, tuple[str, ...]] = {
    arch.name: ("librust-kvm-ioctls-dev",) for arch in ARCHITECTURES.values()
}
CRATES: tuple[Recipe, ...] = (
    Recipe("kvm-ioctls", ("trixie",), "0.19.", _CRATE),
    Recipe("kvm-ioctls-0.25", ("forky", "sid"), "0.25.", _CRATE),
)

# A VMM of which a user has the source. x86-64 has no device tree, and so needs no libfdt.
KVMTOOL = "kvmtool"
_LIBFDT: Mapping[ArchName, tuple[str, ...]] = {
    "arm64": ("libfdt-dev",),
    "riscv64": ("libfdt-dev",),
    "x86_64": (),
}
LIBFDT = Recipe("libfdt", ("trixie",), "", _LIBFDT)
