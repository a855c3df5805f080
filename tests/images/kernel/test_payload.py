"""The kernel inside a bzImage, in each compression that its build offers."""

import bz2
import contextlib
import gzip
import lzma
import shutil
import struct
import subprocess

import pytest
from kernel_images import bzimage, elf, note
from lz4 import block

from sysevent.errors import ImageError
from sysevent.images import compression
from sysevent.images.kernel import payload

ELF = elf(note(bytes(range(20)))) + bytes(range(256)) * 40


def size(data):
    """The size that the build appends to all formats but gzip."""
    return struct.pack("<I", len(data))


def lz4(data):
    """As `lz4 -l`, in blocks of 8 MiB."""
    pieces = [
        block.compress(data[at : at + (8 << 20)], store_size=False) for at in range(0, len(data), 8 << 20)
    ]
    return (
        b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(piece)) + piece for piece in pieces) + size(data)
    )


PACKERS = {
    "gzip": gzip.compress,
    "bzip2": lambda data: bz2.compress(data) + size(data),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE) + size(data),
    "xz": lambda data: lzma.compress(data) + size(data),
    "lz4": lz4,
}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_unpacked(pack):
    assert payload.unpacked(bzimage(pack(ELF)), "k") == ELF


def test_lz4_in_several_blocks():
    data = ELF + bytes(9 << 20)
    assert payload.unpacked(bzimage(lz4(data)), "k") == data


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd program")
def test_zstd():
    packed = subprocess.run(["zstd", "-qc"], input=ELF, capture_output=True, check=True).stdout
    assert payload.unpacked(bzimage(packed + size(ELF)), "k") == ELF


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_damaged(pack):
    """Any cut, and any changed byte, gives the kernel or an ImageError; a cut in the middle never gives a kernel."""
    packed = pack(ELF)
    for at in range(0, len(packed), max(1, len(packed) // 60)):
        for bad in (packed[: at + 1], packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]):
            with contextlib.suppress(ImageError):
                payload.unpacked(bzimage(bad), "k")
    with pytest.raises(ImageError):
        payload.unpacked(bzimage(packed[: len(packed) // 2]), "k")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a bzImage"),
        (b"MZ" * 2000, "not a bzImage"),
        (bzimage(gzip.compress(ELF), version=0x207), "not a bzImage"),
        (bzimage(gzip.compress(ELF))[:0x208], "not a bzImage"),
        (bzimage(gzip.compress(ELF))[:2700], "truncated"),
        (bzimage(b""), "truncated"),
        (bzimage(b"\x89LZO" * 9), "unsupported compression, which begins with 894c5a4f"),
    ],
)
def test_not_a_bzimage(data, words):
    with pytest.raises(ImageError, match=words):
        payload.unpacked(data, "k")


def test_a_kernel_that_is_too_large(monkeypatch):
    monkeypatch.setattr(compression, "OUTPUT_MAX", 1000)
    for pack in PACKERS.values():
        with pytest.raises(ImageError, match="1000 bytes"):
            payload.unpacked(bzimage(pack(ELF)), "k")
