"""Decompression with limits: bombs of each kind, memory, several streams, and damage."""

import contextlib
import gzip
import importlib
import importlib.util
import io
import lzma
import shutil
import struct
import subprocess
import time
import zlib

import pytest

from sysevent.errors import ImageError, ToolMissing
from sysevent.images import compression, decoders

TEXT = bytes(range(256)) * 5000


def zstd(data):
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed: apt install zstd")
    return subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout


PACK = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstd}


@pytest.fixture(params=PACK)
def kind(request):
    return request.param


def test_contents(kind):
    assert compression.decompress(kind, PACK[kind](TEXT), "X") == TEXT


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_several_streams_and_what_follows(kind):
    """Tools that compress in parallel make several streams; the kernel's build appends the size."""
    pack = PACK[kind]
    packed = pack(TEXT) + pack(b"") + pack(b"more")
    assert compression.decompress(kind, packed + b"\x10\0\0\0", "X") == TEXT + b"more"
    # In pieces, of which some end within a stream.
    assert compression.decompress(kind, pack(TEXT) * 50, "X") == TEXT * 50


def test_lzma_of_the_older_format():
    assert compression.decompress("xz", lzma.compress(TEXT, lzma.FORMAT_ALONE), "X") == TEXT


def test_more_than_the_limit(kind):
    packed = PACK[kind](bytes(20 << 20))
    assert len(compression.decompress(kind, packed, "X", 20 << 20)) == 20 << 20
    with pytest.raises(ImageError, match="decompresses to more than the 20971519 bytes"):
        compression.decompress(kind, packed, "X", (20 << 20) - 1)


def test_a_bomb_is_not_unpacked_beyond_the_limit():
    """Six gigabytes in six megabytes."""
    block = zlib.compressobj(9, wbits=-15)
    once = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    bomb = b"\x1f\x8b\x08\0\0\0\0\0\2\3" + once * 6000
    begin = time.process_time()
    with pytest.raises(ImageError, match="decompresses to more than"):
        compression.decompress("gzip", bomb, "X", 64 << 20)
    assert time.process_time() - begin < 5


def test_a_dictionary_of_gigabytes():
    """The header of an .lzma file can ask for 4 GB of memory."""
    packed = bytearray(lzma.compress(TEXT, lzma.FORMAT_ALONE))
    struct.pack_into("<I", packed, 1, 0xFFFFFFFF)
    with pytest.raises(ImageError, match="Memory usage limit"):
        compression.decompress("xz", bytes(packed), "X")


@pytest.mark.parametrize("cut", [3, 20, -1])
def test_truncated(kind, cut):
    with pytest.raises(ImageError, match="X is damaged or truncated: its") as caught:
        compression.decompress(kind, PACK[kind](TEXT)[:cut], "X")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_zstd(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(decoders, "_ZSTD", "no_such_package.zstd")
    assert decoders.zstd_is_missing()
    with pytest.raises(ToolMissing, match="apt install zstd"):
        compression.decompress("zstd", b"", "X")


def test_zstd_of_python(monkeypatch):
    """That of 3.14, or the same code for older ones, is used where it exists, and a program is not needed."""
    name = next((name for name in ("compression.zstd", "backports.zstd") if _exists(name)), None)
    if name is None:
        pytest.skip("this Python has no zstd, and neither is backports.zstd installed")
    module = importlib.import_module(name)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(decoders, "_ZSTD", name)
    assert not decoders.zstd_is_missing()
    packed = module.compress(TEXT)
    assert compression.decompress("zstd", packed, "X") == TEXT
    assert compression.decompress("zstd", packed * 3, "X") == TEXT * 3
    with pytest.raises(ImageError, match="more than the 99"):
        compression.decompress("zstd", packed, "X", 99)
    for cut in (5, len(packed) // 2, len(packed) - 1):
        with pytest.raises(ImageError, match="truncated"):
            compression.decompress("zstd", packed[:cut], "X")
    damaged = bytearray(packed)
    damaged[4:8] = b"\xff" * 4
    with pytest.raises(ImageError, match="damaged"):
        compression.decompress("zstd", bytes(damaged), "X")


def _exists(name):
    with contextlib.suppress(ImportError):
        return importlib.util.find_spec(name) is not None
    return False


def test_many_empty_streams_end():
    """A hundred thousand streams in a row are not followed."""
    with compression.Inflater("gzip", io.BytesIO(gzip.compress(b"") * 100_000), "X", 1 << 20) as stream:
        assert stream.readall() == b""
