"""Python's decoders of compressed data, all with the interface of lzma's."""

from __future__ import annotations

import importlib
import importlib.util
import lzma
import shutil
import zlib
from typing import Literal, Protocol

# Those that Python decompresses piece by piece.
StreamKind = Literal["gzip", "xz", "bzip2"]
# Bytes of memory of the xz decoder. Kernels are packed with a dictionary of 128 MiB at most (scripts/xz_wrap.sh).
_XZ_MEMORY = 192 << 20
# Since Python 3.14.
_ZSTD = "compression.zstd"


def damage() -> tuple[type[Exception], ...]:
    """Return what the decoders raise for damaged data."""
    own = (importlib.import_module(_ZSTD).ZstdError,) if python_has_zstd() else ()
    return (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, *own)


def python_has_zstd() -> bool:
    """Return whether Python itself decompresses zstd: since 3.14, unless it was built without."""
    try:
        return importlib.util.find_spec(_ZSTD) is not None
    except ImportError:
        # There is no package compression.
        return False


def zstd_is_missing() -> bool:
    """Return whether neither Python nor a program decompresses zstd here."""
    return not python_has_zstd() and shutil.which("zstd") is None


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


class Decoder(Protocol):
    """What the decoders of Python's modules have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, most: int, /) -> bytes: ...


def decoder(kind: StreamKind | Literal["zstd"]) -> Decoder:
    """Return a new decoder of one stream."""
    if kind == "zstd":
        found: Decoder = importlib.import_module(_ZSTD).ZstdDecompressor()
        return found
    if kind == "bzip2":
        # Imported here: few kernels use it.
        import bz2

        return bz2.BZ2Decompressor()
    return _Gzip() if kind == "gzip" else lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
