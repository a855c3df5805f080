"""The proof that a boot image holds the kernel that was just linked."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

from sysevent.arches import Architecture
from sysevent.decode import build_id
from sysevent.errors import KernelNotBuilt

ReadBuildId = Callable[[Path], tuple[str, str]]
"""Reads the build ID of the kernel in a boot image: the ID in hexadecimal, or "" and why it cannot be read."""


def check(output: Path, arch: Architecture, of_image: ReadBuildId) -> str:
    """Compare the build IDs of vmlinux and of the boot image in a build directory.

    Return why they could not be compared; "" if they are equal. KernelNotBuilt if they differ: make has packed an
    older kernel, as it did when ccache returned an old object for a file with .incbin.
    """
    image = output / arch.boot_image
    linked = of_vmlinux(output / "vmlinux")
    packed, obstacle = of_image(image)
    if not linked or not packed:
        why = obstacle or f"{'vmlinux' if not linked else arch.boot_image} has no build ID"
        return f"not proven that {arch.boot_image} holds the kernel that was built: {why}"
    if linked != packed:
        raise KernelNotBuilt(
            f"{arch.boot_image} does not hold the kernel that was built: its build ID is {packed}, that of vmlinux is "
            f"{linked}; remove {output}, run `ccache --clear`, and run again"
        )
    return ""


def of_vmlinux(path: Path) -> str:
    """Return the build ID of a vmlinux, in hexadecimal; "" if it has none, or cannot be read."""
    try:
        # With debug information it has hundreds of megabytes, of which a few pages are read.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return build_id.of_elf(data)
    except (OSError, ValueError):
        return ""
