"""Decompresses kernels, modules and packages, with limits for output, memory and time."""

from __future__ import annotations

import io
import lzma
import os
import selectors
import shutil
import subprocess
import time
import zlib
from typing import Literal, Protocol

from sysevent.errors import ImageError, InfrastructureError, ToolMissing

# Bytes to which one kernel, module or index may decompress. A Debian vmlinux has 62 MB, and a Packages file as many.
OUTPUT_MAX = 512 << 20
# Bytes of memory of the xz decoder. Kernels are packed with a dictionary of 128 MiB at most (scripts/xz_wrap.sh).
_XZ_MEMORY = 192 << 20
# Bytes that are decompressed at a time.
_CHUNK = 1 << 18
# Compressed streams in a row. Tools that compress in parallel make one of each few megabytes.
_STREAMS_MAX = 4096
# Seconds for the zstd program; it decompresses 500 MB in one second.
_ZSTD_DEADLINE = 120

Kind = Literal["gzip", "xz", "zstd"]
MAGICS: dict[bytes, Kind] = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""The first bytes of a compressed file."""


def decompress(kind: Kind, data: bytes, name: str, limit: int | None = None) -> bytes:
    """Return the content of the compressed streams at the start of data; what follows is ignored.

    name is for messages. "xz" also accepts the older format of .lzma files. ImageError when data is damaged or
    truncated, or decompresses to more than limit bytes, by default OUTPUT_MAX. ToolMissing without a zstd program:
    Python has zstd only since 3.14.
    """
    if kind == "zstd":
        return unzstd(data, name, limit)
    with Inflater(kind, io.BytesIO(data), name, limit or OUTPUT_MAX) as stream:
        return stream.readall()


class Source(Protocol):
    """What compressed data is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes, none at the end only."""


class Inflater(io.RawIOBase):
    """A file that decompresses another one while it is read; it can be read forwards only."""

    def __init__(self, kind: Literal["gzip", "xz"], source: Source, name: str, limit: int) -> None:
        """limit is for the bytes that may be read in total. The source stays open when this file is closed."""
        self._source = source
        self._name = name
        self._limit = limit
        self._given = 0
        self._kind = kind
        self._decoder = _decoder(kind)
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
        try:
            piece = self._following(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            why = f": {error}" if str(error) else ""
            raise ImageError(
                f"{self._name} is damaged or truncated: its {self._kind} data does not decompress{why}"
            ) from None
        self._given += len(piece)
        if self._given > self._limit:
            raise ImageError(
                f"{self._name} decompresses to more than the {self._limit} bytes that it may have"
            )
        buffer[: len(piece)] = piece
        return len(piece)

    def _following(self, most: int) -> bytes:
        """Return 1 to most bytes; b"" at the end."""
        while not self._decoder.eof or self._begin_stream():
            packed = self._input() if self._decoder.needs_input else b""
            at_end = self._decoder.needs_input and not packed
            if piece := self._decoder.decompress(packed, most):
                return piece
            if at_end and not self._decoder.eof:
                raise EOFError
        return b""

    def _begin_stream(self) -> bool:
        """Begin with the stream that follows the one that has ended; False if none does."""
        rest = self._decoder.unused_data or self._input()
        magic = next(magic for magic, kind in MAGICS.items() if kind == self._kind)
        if not rest.startswith(magic) or self._streams >= _STREAMS_MAX:
            return False
        self._streams += 1
        self._decoder = _decoder(self._kind)
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


class _Gzip:
    """zlib's decoder with the interface of lzma's."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, most)


def _decoder(kind: Literal["gzip", "xz"]) -> _Gzip | lzma.LZMADecompressor:
    return _Gzip() if kind == "gzip" else lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


def unzstd(data: bytes, name: str, limit: int | None = None) -> bytes:
    """Decompress data, all of which must be zstd's, with the zstd program. Raises what decompress() raises."""
    program = shutil.which("zstd")
    if program is None:
        raise ToolMissing(
            f"{name} is compressed with zstd, and no zstd program is installed: apt install zstd"
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
                    plain = _output(process, limit or OUTPUT_MAX, name)
                finally:
                    process.kill()
            messages.seek(0)
            # A frame may be followed by the size of its content (scripts/Makefile.lib, size_append).
            said = messages.read(4096).decode("utf-8", "replace").strip().split("\n", 1)[0]
    except OSError as error:
        raise InfrastructureError(f"{name} could not be decompressed: {error.strerror}") from None
    if process.returncode != 0:
        raise ImageError(f"{name} is damaged or truncated: its zstd data does not decompress: {said}")
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
                raise ImageError(f"{name} decompresses to more than the {limit} bytes that it may have")
