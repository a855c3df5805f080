"""Files that stay as they were when they were hashed, for every boot of a guest."""

from __future__ import annotations

import fcntl
import hashlib
import os
import weakref
from pathlib import Path

from sysevent.digests import digest_of_open
from sysevent.errors import ImageError
from sysevent.images import compression
from sysevent.reading import read_file

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_PIECE = 1 << 20


class HeldFile:
    """An open file with known content. It is closed when this object is freed.

    A kernel may change between its hash and a boot: a user builds it again while a run goes on, or another process
    prunes the cache. QEMU reads it through this file, so it boots the bytes that were hashed, and a boot again after a
    loss gets the same kernel.
    """

    def __init__(self, fd: int, sha256: str) -> None:
        """fd is closed by this object."""
        self.fd = fd
        self.sha256 = sha256
        weakref.finalize(self, os.close, fd)

    def read(self) -> bytes:
        """Return the content; ImageError if it cannot be read."""
        pieces, at = [], 0
        try:
            while piece := os.pread(self.fd, _PIECE, at):
                pieces.append(piece)
                at += len(piece)
        except OSError as error:
            raise ImageError(f"cannot read a kernel: {error.strerror}") from None
        return b"".join(pieces)


def in_memory(data: bytes) -> HeldFile:
    """Return a sealed copy in memory; ImageError if there is too little."""
    try:
        fd = os.memfd_create("sysevent: kernel", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        held = HeldFile(fd, hashlib.sha256(data).hexdigest())
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        raise ImageError(f"no memory for a kernel of {len(data)} bytes: {error.strerror}") from None
    return held


# The words at offset 56 of an Image of arm64 and riscv64, which QEMU loads as it is: Documentation/arch/*/boot*.rst.
_IMAGE = (b"ARM\x64", b"RSC\x05")
_HEADER = 4096


def for_restore(kernel: HeldFile) -> HeldFile:
    """Return what a QEMU gets in place of a kernel when it restores a guest, whose memory has the kernel already.

    Of an Image that is its header, by which QEMU lays out the machine. QEMU would read all of it, which takes 80 ms,
    and use none of it. An ELF kernel is mapped, and takes no time. OSError.
    """
    header = os.pread(kernel.fd, _HEADER, 0)
    # An EFI zboot image has the same word, and QEMU would decompress it.
    return in_memory(header) if header[56:60] in _IMAGE and header[4:8] != b"zimg" else kernel


def copied(path: Path) -> HeldFile:
    """Return a copy in memory of a file that its owner may write to; ImageError if it cannot be read."""
    try:
        return in_memory(read_file(path, compression.OUTPUT_MAX))
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None


def cached(path: Path) -> HeldFile:
    """Return a file of the cache, which is replaced, but never written to; ImageError if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return HeldFile(fd, digest_of_open(fd))
        except OSError:
            os.close(fd)
            raise
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
