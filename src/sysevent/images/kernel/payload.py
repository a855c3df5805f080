"""Decompresses the kernel inside an x86 bzImage.

Sources: Documentation/arch/x86/boot.rst (payload_offset, payload_length), scripts/Makefile.lib (the programs and their
options, size_append), lib/decompress.c (the first bytes of each format), lib/decompress_unlz4.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from sysevent.errors import ImageError
from sysevent.images import compression

# Bytes of a block of `lz4 -l`, the format of the kernel's build, before its compression.
_LZ4_BLOCK = 8 << 20


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
    for magic, unpack in _FORMATS.items():
        if packed.startswith(magic):
            return unpack(packed, name)
    # Such as LZO.
    raise ImageError(f"{name} has an unsupported compression, which begins with {packed[:4].hex()}")


def _bzip2(packed: bytes, name: str) -> bytes:
    # Imported here: few kernels use it.
    import bz2

    stream = bz2.BZ2Decompressor()
    try:
        plain = stream.decompress(packed, compression.OUTPUT_MAX)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} is damaged: its kernel does not decompress: {error}") from None
    if not stream.eof:
        raise ImageError(
            f"{name} is damaged: its kernel is truncated, or has more than {compression.OUTPUT_MAX} bytes"
        )
    return plain


def _lz4(packed: bytes, name: str) -> bytes:
    """Decompress blocks, each with its size in front. The build appends the size of the whole."""
    # Imported here: Debian's kernels from 6.12 on, and our own, do not use it.
    from lz4 import block

    pieces, at, size = [], 4, 0
    while at + 4 < len(packed):
        (length,) = struct.unpack_from("<I", packed, at)
        at += 4 + length
        try:
            if at > len(packed):
                raise ValueError("it is truncated")
            pieces.append(block.decompress(packed[at - length : at], uncompressed_size=_LZ4_BLOCK))
        except (ValueError, block.LZ4BlockError) as error:
            raise ImageError(f"{name} is damaged: its kernel does not decompress: {error}") from None
        size += len(pieces[-1])
        if size > compression.OUTPUT_MAX:
            raise ImageError(f"{name} decompresses to more than {compression.OUTPUT_MAX} bytes")
    return b"".join(pieces)


# The first bytes of each format. The build appends the size, which zstd does not accept.
_FORMATS: Mapping[bytes, Callable[[bytes, str], bytes]] = {
    b"\x1f\x8b": lambda packed, name: compression.decompress("gzip", packed, name),
    b"BZh": _bzip2,
    b"\x5d\0\0": lambda packed, name: compression.decompress("xz", packed, name),
    b"\xfd7zXZ\0": lambda packed, name: compression.decompress("xz", packed, name),
    b"\x02\x21\x4c\x18": _lz4,
    b"\x28\xb5\x2f\xfd": lambda packed, name: compression.unzstd(packed[:-4], name),
}
