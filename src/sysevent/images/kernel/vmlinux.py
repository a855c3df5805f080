"""The file that QEMU boots for a kernel image, with the kernel's build ID.

For x86 it is the ELF kernel inside the bzImage, so that the emulated CPU need not decompress it: a bzImage is a small
program that decompresses the kernel proper, an ELF file, and jumps to it. QEMU can start that ELF file at its PVH
entry. Decompressing it takes this machine 0.2 s, once, and the guest 1 s in each boot.
Source: hw/i386/x86.c of QEMU (load_elfboot).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.cache import Cache
from sysevent.errors import ImageError, ToolMissing
from sysevent.images.kernel import bootfile, held, identity, payload
from sysevent.images.kernel.held import HeldFile
from sysevent.model import KernelImage, Progress
from sysevent.settings import Settings


class Extracted(msgspec.Struct, frozen=True):
    """What was found in an image; cached as NAME-HASH.json beside the ELF kernel."""

    # Of the kernel, in hexadecimal; "" if none can be read.
    build_id: str
    # Why there is no build ID.
    obstacle: str
    # True: QEMU can start the ELF kernel inside.
    elf: bool


class BootKernel(msgspec.Struct, frozen=True):
    """What QEMU's -kernel gets."""

    content: HeldFile
    # A file with the same kernel.
    path: Path
    # Equal for equal kernels: the SHA-256 of the image that was given, and whether it is the ELF kernel inside it.
    key: str
    # See Extracted.
    build_id: str
    obstacle: str


def kernel_file(kernel: KernelImage, settings: Settings, progress: Progress) -> Path:
    """Return a file for QEMU's -kernel. Raises what boot_kernel() raises."""
    return boot_kernel(kernel, settings, progress).path


def boot_kernel(kernel: KernelImage, settings: Settings, progress: Progress) -> BootKernel:
    """Return what QEMU boots for an image: the ELF kernel inside it, or the image itself.

    It is the image itself for other architectures than x86, and whenever the ELF kernel cannot be extracted: that
    boots as well, only more slowly. ImageError when the image cannot be read, or has changed since it was found.
    """
    cache = Cache(settings.cache)
    image = _held(kernel, cache)
    # In full: the name decides which kernel boots.
    path = cache.root / "vmlinux" / f"{kernel.release or 'image'}-{image.sha256}"
    note = path.with_name(f"{path.name}.json")
    known = cache.read(note, Extracted)
    elf = _cached_elf(path, cache) if known is not None and known.elf else None
    if known is None or known.elf != (elf is not None):
        known, data = _extracted(image.read(), kernel, progress)
        elf = None if data is None else held.in_memory(data)
        if data is not None:
            cache.keep(path, data)
        if not known.obstacle.startswith(_RETRY):
            cache.record(note, known)
    if elf is None:
        return BootKernel(image, kernel.image, image.sha256, known.build_id, known.obstacle)
    where = path if path.exists() else kernel.image
    return BootKernel(elf, where, f"{image.sha256}-elf", known.build_id, known.obstacle)


def _held(kernel: KernelImage, cache: Cache) -> HeldFile:
    """Return the image of a kernel, decompressed if it is a user's in gzip or EFI zboot; ImageError if it changed."""
    in_cache = kernel.image.is_relative_to(cache.root)
    image = held.cached(kernel.image) if in_cache else held.copied(kernel.image)
    if kernel.sha256 not in ("", image.sha256):
        raise ImageError(
            f"{kernel.image} has changed while this run was using it: run again when it is complete"
        )
    return image if in_cache else _unwrapped(image, str(kernel.image))


def _cached_elf(path: Path, cache: Cache) -> HeldFile | None:
    """Return an ELF kernel of the cache, and mark it as used; None if it is missing or damaged."""
    if not (sha256 := cache.intact_hash(path)):
        return None
    elf = held.cached(path)
    cache.touch(path)
    # Another process may have replaced it since.
    return elf if elf.sha256 == sha256 else None


def _unwrapped(image: HeldFile, name: str) -> HeldFile:
    """Return a user's image, decompressed if it is gzip or EFI zboot; any other as it is."""
    start = os.pread(image.fd, 8, 0)
    if start[:2] != b"\x1f\x8b" and start[4:] != b"zimg":
        return image
    plain = bootfile.inspect(image.read(), name).unwrapped
    return image if plain is None else held.in_memory(plain)


# An obstacle that begins so may be gone the next time.
_RETRY = "not decompressed: "


def _extracted(data: bytes, kernel: KernelImage, progress: Progress) -> tuple[Extracted, bytes | None]:
    """Return what is in an image, and its ELF kernel if QEMU can start that."""
    name = str(kernel.image)
    if not ARCHITECTURES[kernel.arch].pvh or data[:4] == b"\x7fELF":
        found = identity.image_build_id(data, name)
        return Extracted(found.value, found.obstacle, elf=False), None
    try:
        elf = payload.unpacked(data, name)
    except ToolMissing as missing:
        progress(f"{kernel.spec} boots more slowly than it could: {missing}")
        return Extracted("", f"{_RETRY}{missing}", elf=False), None
    except ImageError as error:
        return Extracted("", str(error), elf=False), None
    found = identity.elf_build_id(elf, f"the kernel inside {name}")
    bootable = _has_pvh_entry(elf, f"the kernel inside {name}")
    return Extracted(found.value, found.obstacle, elf=bootable), elf if bootable else None


def _has_pvh_entry(data: bytes, name: str) -> bool:
    try:
        # inspect() checks for a PVH entry, too.
        return bootfile.inspect(data, name).kind == "ELF vmlinux"
    except ImageError:
        return False
