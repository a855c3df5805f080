"""A mirror with a small QEMU: a program, its libraries in packages of their own, and data."""

import pytest
from debian_mirror import build_deb
from elf_programs import elf_program

from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits.recipes import Recipe

ARM64, X86 = "lib/aarch64-linux-gnu", "lib/x86_64-linux-gnu"
LOADER = "/lib/ld-linux-aarch64.so.1"
LIBC = build_deb(
    {
        f"usr/{ARM64}/libc.so.6": elf_program(["ld-linux-aarch64.so.1"]),
        f"usr/{ARM64}/ld-linux-aarch64.so.1": elf_program(),
        "usr/share/doc/libc6/copyright": b"text",
    }
)
LIBFOO = build_deb({f"{ARM64}/libfoo-1.so.0": elf_program(["libc.so.6"])})
QEMU = build_deb(
    {
        "usr/bin/qemu-system-aarch64": elf_program(["libfoo-1.so.0", "libodd.so.9", "libc.so.6"], LOADER),
        "usr/bin/qemu-system-arm": elf_program(),
    }
)
UNUSED = build_deb({f"usr/{ARM64}/libunused.so.1": elf_program()})
# A library in a package whose name does not come from it.
ODD = build_deb({f"usr/{ARM64}/libodd.so.9": elf_program()})
DATA = build_deb({"usr/share/qemu/rom.bin": b"rom", "usr/share/qemu/other.bin": b"other"})
DEPENDS = "Depends: libfoo-1-0 (>= 1), qemu-data, strange, libunused1, libc6"
PACKAGES = [
    ("qemu-system-arm", "1:10.0.2+ds-1", QEMU, DEPENDS),
    ("libfoo-1-0t64", "1.2", LIBFOO, "Provides: libfoo-1-0 (= 1.2)"),
    ("strange", "9", ODD),
    ("libunused1", "1", UNUSED),
    ("libc6", "2.41", LIBC),
    ("qemu-data", "10", DATA),
]
RECIPE = Recipe(
    "qemu-10",
    ("trixie",),
    "10.",
    {"arm64": ("qemu-arm", "qemu-system-arm")},
    {"arm64": {"qemu-data": ("usr/share/qemu/rom.bin",)}},
)


@pytest.fixture
def packages():
    """The packages of the mirror, as Mirror.add() takes them."""
    return list(PACKAGES)


@pytest.fixture
def qemu(mirror, packages):
    """The mirror with the packages."""
    mirror.add("trixie", "arm64", packages)
    return mirror


@pytest.fixture
def archive(settings, progress):
    return Archive(settings, progress)


@pytest.fixture
def recipe():
    return RECIPE
