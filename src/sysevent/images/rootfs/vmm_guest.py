"""The guest program that a real VMM runs in L1 (guests/vmms), in the form that the VMM loads, as an archive."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from sysevent.arches import Architecture
from sysevent.build import programs
from sysevent.cache import Cache
from sysevent.images.rootfs import newc
from sysevent.settings import Settings

# Paths in L1, without a slash at their start: the form that QEMU loads, the one that kvm-ioctls loads, and as a kernel
# an Image or a bzImage, and what VMMs load that take an ELF file on x86-64. scenario/vmms.py and scenario/kernels.py
# name them.
PATH = "sysevent/guest"
OTHER_PATH = "sysevent/guest.other"
IMAGE_PATH = "sysevent/guest.image"
KERNEL_PATH = "sysevent/guest.kernel"
# Bytes of a ROM of x86, which ends at 4 GiB.
_ROM = 1 << 16
# A flat image: the address of its first byte, and its least size. None: the ELF file, which starts at its entry. QEMU
# does not start an ELF there on riscv64.
_FLAT: dict[str, tuple[int, int] | None] = {
    "arm64": None,
    "riscv64": (0x8000_0000, 0),
    "x86_64": (0xFFFF_0000, _ROM),
}

# The label of a bzImage's first sectors, and the least size of the whole file: of struct boot_params.
_SETUP = "setup"
_BZIMAGE_MIN = 4096


def archive(arch: Architecture, settings: Settings) -> Path:
    """Return the path of an archive in newc format with the program; BuildFailed or ToolMissing."""
    elf = programs.guest_of_vmms(arch, settings).content
    flat = _flat(arch, elf)
    # A ROM is a ROM to every VMM.
    other = flat if flat is not None and len(flat) == _ROM else elf
    images = kernels(arch, settings)
    data = newc.archive(
        [
            newc.directory(str(PurePosixPath(PATH).parent)),
            newc.plain(PATH, elf if flat is None else flat),
            newc.plain(OTHER_PATH, other),
            newc.plain(IMAGE_PATH, images["image"]),
            newc.plain(KERNEL_PATH, images["kernel"]),
        ]
    )
    cache = Cache(settings.cache)
    path = cache.root / "initramfs" / f"guest-{hashlib.sha256(data).hexdigest()[:32]}.cpio"
    if cache.content(path) != data:
        cache.keep(path, data)
    return path


def _flat(arch: Architecture, elf: bytes) -> bytes | None:
    form = _FLAT[arch.name]
    if form is None:
        return None
    base, size = form
    segments = programs.read_payload("vmms", elf).segments
    flat = bytearray(max(size, *(at + len(data) - base for at, data in segments)))
    for at, data in segments:
        flat[at - base : at - base + len(data)] = data
    return bytes(flat)


def kernels(arch: Architecture, settings: Settings) -> dict[str, bytes]:
    """Return the program as a kernel: "image" is an Image or a bzImage, "kernel" the same or, on x86-64, an ELF file.

    Raises BuildFailed or ToolMissing.
    """
    elf = programs.image_of_vmms(arch, settings).content
    image = _bare_image(elf)
    has_sectors = _SETUP in programs.read_payload("image", elf).symbols
    return {"image": image, "kernel": elf if has_sectors else image}


def _bare_image(elf: bytes) -> bytes:
    """Return a kernel without ELF headers. Where it has first sectors of its own, they come before the rest."""
    program = programs.read_payload("image", elf)
    ((base, data),) = program.segments
    if _SETUP not in program.symbols:
        return data
    at = program.symbols[_SETUP] - base
    # kvmtool takes a shorter file for no bzImage.
    return (data[at:] + data[:at]).ljust(_BZIMAGE_MIN, b"\0")
