"""The kernel inside an x86 bzImage, which QEMU starts at its PVH entry: no decompression by an emulated CPU.

A bzImage is a small program that decompresses the kernel proper, an ELF file, and jumps to it. This machine
does that in a fifth of a second, once; the guest takes one in each boot. Sources: Documentation/arch/x86/boot.rst
(payload_offset, payload_length), arch/x86/boot/compressed/Makefile, hw/i386/x86.c of QEMU (load_elfboot).
"""

from __future__ import annotations

import hashlib
import lzma
import os
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


def uncompressed(kernel: KernelImage, settings: Settings, progress: Progress) -> Path:
    """The file to give to QEMU: the kernel inside kernel.image, or that itself when there is nothing to gain.

    Whatever is odd about the image, it boots as it is: this is only the quicker way.
    """
    if not ARCHITECTURES[kernel.arch].pvh:
        return kernel.image
    cache = Cache(settings.cache)
    stat = kernel.image.stat()
    # By place, size and time, like make: reading and hashing the image each time costs more than it gains.
    told = f"{kernel.image.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
    name = f"{kernel.release or 'image'}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    path = cache.root / "vmlinux" / name
    try:
        if path.stat().st_size == 0:  # it was tried, and there is none inside
            return kernel.image
        os.utime(path)  # prune keeps what was used lately
        return path
    except OSError:
        pass
    try:
        found = inside(kernel.image.read_bytes(), str(kernel.image))
    except ToolMissing as missing:
        progress(f"{kernel.spec} boots slower than it could: {missing}")
        return kernel.image
    except (ImageError, OSError):
        found = b""
    cache.write(path, found)
    return path if found else kernel.image


def inside(data: bytes, name: str) -> bytes:
    """The ELF kernel in a bzImage; ImageError when there is none with a PVH entry, or when it is packed oddly.

    ToolMissing when it takes a decompressor that this machine lacks.
    """
    if data[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", data, 0x206)[0] < 0x208:
        raise ImageError(f"{name} is no bzImage")
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    packed = data[start : start + length]
    if not length or len(packed) < length:
        raise ImageError(f"{name} is cut off")
    elf = _unpack(packed, name)
    found = bootfile.inspect(elf, f"the kernel inside {name}")  # asks for a PVH entry, too
    if found.kind != "ELF vmlinux":
        raise ImageError(f"what is inside {name} is no ELF file")
    return elf


def _unpack(packed: bytes, name: str) -> bytes:
    """By the first bytes; the build appends the size to some formats (scripts/Makefile.lib, size_append)."""
    try:
        if packed[:4] == b"\x28\xb5\x2f\xfd":
            return compression.unzstd(packed[:-4], name)
        if packed[:6] == b"\xfd7zXZ\0":
            return lzma.LZMADecompressor().decompress(packed)
        if packed[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(packed)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ImageError(f"{name} is damaged: {error}") from None
    # LZ4, as in Debian up to 6.1: neither Python nor most machines can read it.
    raise ImageError(f"{name} is packed in a way that is not read here: {packed[:4].hex()}")
