"""Extracts the ELF kernel from an x86 bzImage, so that the emulated CPU need not decompress it.

A bzImage is a small program that decompresses the kernel proper, an ELF file, and jumps to it. QEMU can start
that ELF file at its PVH entry. Decompressing it takes this machine 0.2 s, once, and the guest 1 s in each boot.
Sources: Documentation/arch/x86/boot.rst (payload_offset, payload_length), arch/x86/boot/compressed/Makefile,
hw/i386/x86.c of QEMU (load_elfboot).
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zlib
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.cache import Cache
from sysevent.errors import ImageError, ToolMissing
from sysevent.images import compression
from sysevent.images.kernel import bootfile
from sysevent.model import KernelImage, Progress
from sysevent.settings import Settings


def kernel_file(kernel: KernelImage, settings: Settings, progress: Progress) -> Path:
    """Return the file for QEMU's -kernel: the ELF kernel inside kernel.image, or kernel.image itself.

    The image itself is returned for other architectures, and whenever the ELF kernel cannot be extracted: it
    boots as well, only more slowly.
    """
    if not ARCHITECTURES[kernel.arch].pvh:
        return kernel.image
    cache = Cache(settings.cache)
    stat = kernel.image.stat()
    # By path, size and time, like make: to read and hash the image each time costs more than this saves.
    key = f"{kernel.image.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
    name = f"{kernel.release or 'image'}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    path = cache.root / "vmlinux" / name
    try:
        # An empty file notes that an earlier attempt failed.
        if path.stat().st_size == 0:
            return kernel.image
        cache.touch(path)
        return path
    except OSError:
        pass
    try:
        found = extract_elf(kernel.image.read_bytes(), str(kernel.image))
    except ToolMissing as missing:
        progress(f"{kernel.spec} boots more slowly than it could: {missing}")
        return kernel.image
    except (ImageError, OSError):
        found = b""
    try:
        cache.write(path, found)
    except ImageError:
        # The cache cannot be written to, and the image boots as well.
        return kernel.image
    return path if found else kernel.image


def extract_elf(data: bytes, name: str) -> bytes:
    """Return the ELF kernel in a bzImage; name is for messages.

    ImageError when data is not a complete bzImage, when its compression is not supported, or when the kernel
    has no PVH entry. ToolMissing when the decompressor is not installed.
    """
    if data[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", data, 0x206)[0] < 0x208:
        raise ImageError(f"{name} is not a bzImage")
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    packed = data[start : start + length]
    if not length or len(packed) < length:
        raise ImageError(f"{name} is truncated")
    elf = _unpack(packed, name)
    # inspect() checks for a PVH entry, too.
    found = bootfile.inspect(elf, f"the kernel inside {name}")
    if found.kind != "ELF vmlinux":
        raise ImageError(f"the kernel inside {name} is not an ELF file")
    return elf


def _unpack(packed: bytes, name: str) -> bytes:
    """Decompress by the first bytes; the build appends the size to some formats (scripts/Makefile.lib, size_append)."""
    try:
        if packed[:4] == b"\x28\xb5\x2f\xfd":
            return compression.unzstd(packed[:-4], name)
        if packed[:6] == b"\xfd7zXZ\0":
            return lzma.LZMADecompressor().decompress(packed)
        if packed[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(packed)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ImageError(f"{name} is damaged: {error}") from None
    # Such as LZ4, in Debian up to 6.1: neither Python nor most machines can decompress it.
    raise ImageError(f"{name} has an unsupported compression, which begins with {packed[:4].hex()}")
