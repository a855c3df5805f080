"""Decompresses the kernel inside an x86 bzImage.

Sources: Documentation/arch/x86/boot.rst (payload_offset, payload_length), scripts/Makefile.lib (the programs and their
options, size_append).
"""

from __future__ import annotations

import struct

from sysevent.errors import ImageError
from sysevent.images import compression


def is_bzimage(data: bytes) -> bool:
    """Return whether data is a bzImage whose header says where the compressed kernel is (protocol 2.08, v2.6.26)."""
    if len(data) < 0x250 or data[0x202:0x206] != b"HdrS":
        return False
    protocol: int = struct.unpack_from("<H", data, 0x206)[0]
    return protocol >= 0x208


def unpacked(data: bytes, name: str) -> bytes:
    """Return what is compressed in a bzImage: an ELF kernel, and behind it its relocations. name is for messages.

    ImageError when data is not a complete bzImage, or when its compression is not supported. ToolMissing when the
    decompressor is not installed.
    """
    if not is_bzimage(data):
        raise ImageError(f"{name} is not a bzImage")
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    packed = data[start : start + length]
    if not length or len(packed) < length:
        raise ImageError(f"{name} is truncated")
    kind = compression.kind_of(packed)
    if kind is None:
        # Such as LZO.
        raise ImageError(f"{name} has an unsupported compression, which begins with {packed[:4].hex()}")
    # The build appends the size, which zstd does not accept.
    return compression.decompress(kind, packed[:-4] if kind == "zstd" else packed, name)
