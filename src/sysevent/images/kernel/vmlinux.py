"""The file that QEMU boots for a kernel image, with the kernel's build ID.

For x86 it is the ELF kernel inside the bzImage, so that the emulated CPU need not decompress it: a bzImage is a small
program that decompresses the kernel proper, an ELF file, and jumps to it. QEMU can start that ELF file at its PVH
entry. Decompressing it takes this machine 0.2 s, once, and the guest 1 s in each boot.
Source: hw/i386/x86.c of QEMU (load_elfboot).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.cache import Cache
from sysevent.decode import build_id
from sysevent.errors import ImageError, ToolMissing
from sysevent.images import compression
from sysevent.images.kernel import bootfile, held, payload
from sysevent.images.kernel.held import HeldFile
from sysevent.model import KernelImage, Progress
from sysevent.reading import read_file
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
    in_cache = kernel.image.is_relative_to(cache.root)
    image = held.cached(kernel.image) if in_cache else held.copied(kernel.image)
    if kernel.sha256 not in ("", image.sha256):
        raise ImageError(
            f"{kernel.image} has changed while this run was using it: run again when it is complete"
        )
    image = image if in_cache else _unwrapped(image, str(kernel.image))
    # In full: the name decides which kernel boots.
    path = cache.root / "vmlinux" / f"{kernel.release or 'image'}-{image.sha256}"
    note = path.with_name(f"{path.name}.json")
    known, elf = cache.read(note, Extracted), None
    if known is not None and known.elf and (sha256 := cache.intact_hash(path)):
        elf = held.cached(path)
        # Another process may have replaced it since.
        elf = elf if elf.sha256 == sha256 else None
    if known is not None and known.elf == (elf is not None):
        # prune() goes by the time of last use.
        cache.touch(path)
        cache.touch(note)
    else:
        known, data = _extracted(image.read(), kernel, progress)
        elf = None if data is None else held.in_memory(data)
        # Without a place to write to, the next run extracts it again.
        with contextlib.suppress(ImageError):
            if data is not None:
                cache.seal(path, data)
            if not known.obstacle.startswith(_RETRY):
                cache.record(note, known)
    if elf is None:
        return BootKernel(image, kernel.image, image.sha256, known.build_id, known.obstacle)
    where = path if path.exists() else kernel.image
    return BootKernel(elf, where, f"{image.sha256}-elf", known.build_id, known.obstacle)


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
        found = image_build_id(data, name)
        return Extracted(found.value, found.obstacle, elf=False), None
    try:
        elf = payload.unpacked(data, name)
    except ToolMissing as missing:
        progress(f"{kernel.spec} boots more slowly than it could: {missing}")
        return Extracted("", f"{_RETRY}{missing}", elf=False), None
    except ImageError as error:
        return Extracted("", str(error), elf=False), None
    found = _of_elf(elf, f"the kernel inside {name}")
    try:
        check_pvh(elf, name)
    except ImageError:
        return Extracted(found.value, found.obstacle, elf=False), None
    return Extracted(found.value, found.obstacle, elf=True), elf


def file_build_id(path: Path) -> tuple[str, str]:
    """Return the build ID of the kernel in an image file, or "" and why it cannot be read."""
    try:
        found = image_build_id(read_file(path, compression.OUTPUT_MAX), str(path))
    except OSError as error:
        return "", f"cannot read {path}: {error.strerror}"
    return found.value, found.obstacle


class ImageBuildId(msgspec.Struct, frozen=True):
    """The build ID of a kernel image, or why it cannot be read."""

    # In hexadecimal.
    value: str
    obstacle: str = ""


def image_build_id(data: bytes, name: str) -> ImageBuildId:
    """Return the build ID of the kernel in an image of any format that bootfile.inspect() knows."""
    if data[:4] == b"\x7fELF":
        return _of_elf(data, name)
    if payload.is_bzimage(data):
        try:
            return _of_elf(payload.unpacked(data, name), f"the kernel inside {name}")
        except (ImageError, ToolMissing) as error:
            return ImageBuildId("", str(error))
    try:
        plain = bootfile.inspect(data, name).unwrapped
    except (ImageError, ToolMissing) as error:
        return ImageBuildId("", str(error))
    found = build_id.of_raw_image(data if plain is None else plain)
    if len(found) == 1:
        return ImageBuildId(found[0])
    return ImageBuildId("", f"{name} holds {len(found) or 'no'} build IDs")


def _of_elf(data: bytes, name: str) -> ImageBuildId:
    found = build_id.of_elf(data)
    return ImageBuildId(found, "" if found else f"{name} has no build ID")


def extract_elf(data: bytes, name: str) -> bytes:
    """Return the ELF kernel in a bzImage that QEMU can start; name is for messages.

    ImageError when data is not a complete bzImage, when its compression is not supported, or when the kernel
    has no PVH entry. ToolMissing when the decompressor is not installed.
    """
    elf = payload.unpacked(data, name)
    check_pvh(elf, name)
    return elf


def check_pvh(elf: bytes, name: str) -> None:
    """Raise ImageError unless QEMU can start the kernel that was inside the bzImage with this name."""
    # inspect() checks for a PVH entry, too.
    if bootfile.inspect(elf, f"the kernel inside {name}").kind != "ELF vmlinux":
        raise ImageError(f"the kernel inside {name} is not an ELF file")
