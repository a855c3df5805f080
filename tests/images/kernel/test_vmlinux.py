"""The kernel inside a bzImage: taken out once, and never at the price of a boot."""

import gzip
import lzma
import struct

import msgspec
import pytest

from sysevent import settings as settings_of
from sysevent.errors import ImageError, ToolMissing
from sysevent.images.kernel import vmlinux
from sysevent.images.kernel.bootfile import BootFile
from sysevent.model import KernelImage

ELF = b"\x7fELF" + bytes(range(100)) * 20


def bzimage(packed, version=0x20F):
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<II", setup, 0x248, 64, len(packed))
    return bytes(setup) + b"\0" * 64 + packed + b"behind"


@pytest.fixture(autouse=True)
def _every_elf_has_an_entry(monkeypatch):
    def inspect(data, name):
        if data != ELF:
            raise ImageError(f"{name} has no PVH entry")
        return BootFile("x86_64", "ELF vmlinux", "6.12", None)

    monkeypatch.setattr(vmlinux.bootfile, "inspect", inspect)


@pytest.fixture
def settings(tmp_path):
    return msgspec.structs.replace(settings_of.from_environment(), cache=tmp_path / "cache")


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(gzip.compress(ELF)))
    return KernelImage("k", "x86_64", "6.12", "", path, None)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_inside(pack):
    assert vmlinux.inside(bzimage(pack(ELF)), "k") == ELF


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ" * 2000,
        bzimage(gzip.compress(ELF), version=0x207),
        bzimage(b"\x02\x21\x4c\x18" + b"lz4" * 10),
        bzimage(gzip.compress(ELF)[:-20]),
        bzimage(gzip.compress(b"\x7fELF, and no entry")),
        bzimage(gzip.compress(ELF))[:2700],
        bzimage(b""),
    ],
    ids=["empty", "other", "old", "lz4", "cut", "no entry", "file cut", "nothing"],
)
def test_nothing_inside(data):
    with pytest.raises(ImageError):
        vmlinux.inside(data, "k")


def test_taken_out_once(kernel, settings, monkeypatch):
    path = vmlinux.uncompressed(kernel, settings, print)
    assert path.read_bytes() == ELF
    monkeypatch.setattr(vmlinux, "inside", None)
    assert vmlinux.uncompressed(kernel, settings, print) == path


def test_another_build_at_the_same_place(kernel, settings):
    path = vmlinux.uncompressed(kernel, settings, print)
    kernel.image.write_bytes(bzimage(lzma.compress(ELF)))
    assert vmlinux.uncompressed(kernel, settings, print) != path


def test_an_odd_one_boots_as_it_is_and_is_tried_once(kernel, settings, monkeypatch):
    kernel.image.write_bytes(b"odd" * 1000)
    assert vmlinux.uncompressed(kernel, settings, print) == kernel.image
    monkeypatch.setattr(vmlinux, "inside", None)
    assert vmlinux.uncompressed(kernel, settings, print) == kernel.image


def test_without_a_decompressor(kernel, settings, monkeypatch):
    """Said, and tried again when it has been installed."""

    def missing(data, name):
        raise ToolMissing("no zstd program: apt install zstd")

    told = []
    monkeypatch.setattr(vmlinux, "inside", missing)
    assert vmlinux.uncompressed(kernel, settings, told.append) == kernel.image
    assert "apt install zstd" in told[0]
    monkeypatch.undo()


def test_other_architectures_have_no_such_thing(kernel, settings):
    arm = msgspec.structs.replace(kernel, arch="arm64")
    assert vmlinux.uncompressed(arm, settings, print) == arm.image
