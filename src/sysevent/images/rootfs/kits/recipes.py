"""Which VMMs can be had, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from sysevent.arches import Architecture


class Recipe(msgspec.Struct, frozen=True):
    """A VMM out of Debian's packages."""

    # Of the kit.
    name: str
    # Suites in this order; the first with the version counts.
    suites: tuple[str, ...]
    # How the upstream version begins: a suite moves on to later ones.
    version: str
    # By the emulator's name (Architecture.qemu): the packages that may have it, the smallest first.
    packages: Mapping[str, tuple[str, ...]]
    # By the emulator's name: package -> paths in it, of what the program reads at run time.
    data: Mapping[str, Mapping[str, tuple[str, ...]]]

    def program(self, arch: Architecture) -> str:
        """Return the path of the program, without a slash at its start."""
        return f"usr/bin/{arch.qemu}"


# As in the indices of 2026-11: qemu-system-misc has RISC-V up to 9.x, and 40 MB of other machines.
_PACKAGES = {
    "qemu-system-aarch64": ("qemu-system-arm",),
    "qemu-system-riscv64": ("qemu-system-riscv", "qemu-system-misc"),
    "qemu-system-x86_64": ("qemu-system-x86",),
}
# Without -bios none, QEMU's other machines would need firmware as well. kvmvapic.bin: hw/i386/vapic.c, which maps it
# over the ROM of every guest of KVM without an APIC that is virtualised by the CPU.
_DATA = {"qemu-system-x86_64": {"qemu-system-data": ("usr/share/qemu/kvmvapic.bin",)}}

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

Origin = Literal["debian", "crates", "tree", "given"]
"""Debian's packages; a program of ours and Debian's crates; the source tree of --kvmtool; a binary that --vmm names."""

# The programs of this project on rust-vmm's crate, and the VMM whose source a user has.
KVM_IOCTLS = "kvm-ioctls"
KVMTOOL = "kvmtool"

# Not in Debian, so that a user has to bring their programs.
GIVEN: Mapping[str, str] = {
    "crosvm": "cargo build --release",
    "cloud-hypervisor": "a static release binary, or cargo build --release",
    "firecracker": "a static release binary",
}

ORIGINS: Mapping[str, Origin] = {
    **{recipe.name: "debian" for recipe in QEMU},
    KVM_IOCTLS: "crates",
    KVMTOOL: "tree",
    **dict.fromkeys(GIVEN, "given"),
}
"""The VMMs with a name, in the order in which they are shown. A user can give a binary of any other name."""
