"""Decompresses kernels, modules and packages, with limits for output, memory and time."""

from __future__ import annotations

import io
import os
import selectors
import shutil
import struct
import subprocess
import time
from typing import Literal, Protocol

from sysevent.errors import ImageError, InfrastructureError, ToolMissing
from sysevent.images.decoders import StreamKind, damage, decoder, python_has_zstd

# Bytes to which one kernel, module or index may decompress. A Debian vmlinux has 62 MB, and a Packages file as many.
OUTPUT_MAX = 512 << 20
# Bytes that are decompressed at a time.
_CHUNK = 1 << 18
# Compressed streams in a row. Tools that compress in parallel make one of each few megabytes.
_STREAMS_MAX = 4096
# Seconds for the zstd program; it decompresses 500 MB in one second.
_ZSTD_DEADLINE = 120

# Bytes of a block of `lz4 -l`, the format of the kernel's build, before its compression (lib/decompress_unlz4.c).
_LZ4_BLOCK = 8 << 20

# Those of files in packages.
FileKind = Literal["gzip", "xz", "zstd"]
Kind = StreamKind | FileKind | Literal["lz4"]
# The first bytes of compressed data: lib/decompress.c. "xz" also stands for the older format of .lzma files.
_MAGICS: dict[bytes, Kind] = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x5d\0\0": "xz",
}
SUFFIXES: dict[str, FileKind] = {".xz": "xz", ".gz": "gzip", ".zst": "zstd"}
"""How the names of compressed files in packages end."""


def kind_of(data: bytes) -> Kind | None:
    """Return how data is compressed, by its first bytes; None if they are unknown."""
    return next((kind for magic, kind in _MAGICS.items() if data.startswith(magic)), None)


def decompress(kind: Kind, data: bytes, name: str, limit: int | None = None) -> bytes:
    """Return the content of the compressed streams at the start of data; what follows is ignored.

    name is for messages. Behind zstd and lz4 nothing may follow, except the size that a kernel's build appends to lz4.
    ImageError when data is damaged or truncated, or decompresses to more than limit bytes, by default OUTPUT_MAX.
    ToolMissing for zstd where neither Python (3.14) nor a program decompresses it.
    """
    if kind == "zstd":
        return _unzstd(data, name, limit or OUTPUT_MAX)
    if kind == "lz4":
        return _unlz4(data, name, limit or OUTPUT_MAX)
    with Inflater(kind, io.BytesIO(data), name, limit or OUTPUT_MAX) as stream:
        return stream.readall()


class Source(Protocol):
    """What compressed data is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes, none at the end only."""


class Inflater(io.RawIOBase):
    """A file that decompresses another one while it is read; it can be read forwards only."""

    def __init__(self, kind: StreamKind | Literal["zstd"], source: Source, name: str, limit: int) -> None:
        """limit is for the bytes that may be read in total. The source stays open when this file is closed."""
        self._source = source
        self._name = name
        self._limit = limit
        self._given = 0
        self._kind = kind
        self._decoder = decoder(kind)
        self._streams = 1
        # Input that was read and not yet given to the decoder.
        self._ahead = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as possible. Raises ImageError as decompress() does."""
        if len(buffer) == 0:
            return 0
        piece = self._following(len(buffer))
        self._given += len(piece)
        if self._given > self._limit:
            raise _too_long(self._name, self._limit)
        buffer[: len(piece)] = piece
        return len(piece)

    def _following(self, most: int) -> bytes:
        """Return 1 to most bytes; b"" at the end."""
        while not self._decoder.eof or self._begin_stream():
            packed = self._input() if self._decoder.needs_input else b""
            at_end = self._decoder.needs_input and not packed
            try:
                piece = self._decoder.decompress(packed, most)
            except damage() as error:
                raise _damaged(self._name, self._kind, str(error)) from None
            if piece:
                return piece
            if at_end and not self._decoder.eof:
                raise _damaged(self._name, self._kind, "it ends too early")
        return b""

    def _begin_stream(self) -> bool:
        """Begin with the stream that follows the one that has ended; False if none does."""
        rest = self._decoder.unused_data or self._input()
        magic = next(magic for magic, kind in _MAGICS.items() if kind == self._kind)
        if not rest.startswith(magic) or self._streams >= _STREAMS_MAX:
            return False
        self._streams += 1
        self._decoder = decoder(self._kind)
        self._ahead = rest
        return True

    def _input(self) -> bytes:
        packed, self._ahead = self._ahead or self._source.read(_CHUNK), b""
        return packed

    def readall(self) -> bytes:
        """Return all that is left. Raises ImageError as decompress() does."""
        pieces = []
        while piece := self.read(_CHUNK):
            pieces.append(piece)
        return b"".join(pieces)


def _too_long(name: str, limit: int) -> ImageError:
    return ImageError(f"{name} decompresses to more than the {limit} bytes that it may have")


def _damaged(name: str, kind: Kind, why: str) -> ImageError:
    shown = f": {why}" if why else ""
    return ImageError(f"{name} is damaged or truncated: its {kind} data does not decompress{shown}")


def _unlz4(data: bytes, name: str, limit: int) -> bytes:
    """Decompress blocks, each with its size in front. Up to four bytes behind them, the size of all, are ignored."""
    # Imported here: Debian's kernels from 6.12 on, and our own, do not use it.
    from lz4 import block

    pieces, at, size = [], 4, 0
    while at + 4 < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4 + length
        if at > len(data):
            raise _damaged(name, "lz4", "it ends too early")
        try:
            pieces.append(block.decompress(data[at - length : at], uncompressed_size=_LZ4_BLOCK))
        except (ValueError, block.LZ4BlockError) as error:
            raise _damaged(name, "lz4", str(error)) from None
        size += len(pieces[-1])
        if size > limit:
            raise _too_long(name, limit)
    return b"".join(pieces)


def _unzstd(data: bytes, name: str, limit: int) -> bytes:
    """Decompress data, all of which must be zstd's. Raises what decompress() raises."""
    if python_has_zstd():
        with Inflater("zstd", io.BytesIO(data), name, limit) as stream:
            return stream.readall()
    program = shutil.which("zstd")
    if program is None:
        raise ToolMissing(
            f"{name} is compressed with zstd, and neither this Python nor a program decompresses it: apt install zstd"
        )
    try:
        # Input and messages in memory: with pipes, each could block while the other is full.
        with (
            os.fdopen(os.memfd_create("zstd"), "w+b") as packed,
            os.fdopen(os.memfd_create("zstd"), "w+b") as messages,
        ):
            packed.write(data)
            packed.seek(0)
            with subprocess.Popen(
                [program, "-dcq"], stdin=packed, stdout=subprocess.PIPE, stderr=messages
            ) as process:
                try:
                    plain = _output(process, limit, name)
                finally:
                    process.kill()
            messages.seek(0)
            # A frame may be followed by the size of its content (scripts/Makefile.lib, size_append).
            said = messages.read(4096).decode("utf-8", "replace").strip().split("\n", 1)[0]
    except OSError as error:
        raise InfrastructureError(f"{name} could not be decompressed: {error.strerror}") from None
    if process.returncode != 0:
        raise _damaged(name, "zstd", said)
    return plain


def _output(process: subprocess.Popen[bytes], limit: int, name: str) -> bytes:
    """Return all output of a process, which has then ended; ImageError when it is too much or takes too long."""
    assert process.stdout is not None
    end = time.monotonic() + _ZSTD_DEADLINE
    pieces: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise ImageError(f"{name}: zstd did not decompress it within {_ZSTD_DEADLINE} s")
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if not piece:
                process.wait(_ZSTD_DEADLINE)
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise _too_long(name, limit)
