"""The ELF kernel in a bzImage: extracted once; the image itself is booted when that fails."""

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
    return bytes(setup) + b"\0" * 64 + packed + b"padding"


@pytest.fixture(autouse=True)
def _pvh_entry_in_elf(monkeypatch):
    """bootfile.inspect() accepts ELF, and nothing else."""

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
def test_extract_elf(pack):
    assert vmlinux.extract_elf(bzimage(pack(ELF)), "k") == ELF


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
    ids=["empty", "other", "old", "lz4", "truncated data", "no entry", "truncated file", "no data"],
)
def test_images_without_a_usable_elf(data):
    with pytest.raises(ImageError):
        vmlinux.extract_elf(data, "k")


def test_extracted_once(kernel, settings, monkeypatch):
    path = vmlinux.kernel_file(kernel, settings, print)
    assert path.read_bytes() == ELF
    monkeypatch.setattr(vmlinux, "extract_elf", None)
    assert vmlinux.kernel_file(kernel, settings, print) == path


def test_another_build_at_the_same_path(kernel, settings):
    path = vmlinux.kernel_file(kernel, settings, print)
    kernel.image.write_bytes(bzimage(lzma.compress(ELF)))
    assert vmlinux.kernel_file(kernel, settings, print) != path


def test_an_unknown_image_is_booted_itself_and_tried_once(kernel, settings, monkeypatch):
    kernel.image.write_bytes(b"unknown" * 1000)
    assert vmlinux.kernel_file(kernel, settings, print) == kernel.image
    monkeypatch.setattr(vmlinux, "extract_elf", None)
    assert vmlinux.kernel_file(kernel, settings, print) == kernel.image


def test_without_a_decompressor(kernel, settings, monkeypatch):
    """A line of progress says so, and the next run tries again."""

    def missing(data, name):
        raise ToolMissing("no zstd program: apt install zstd")

    lines = []
    monkeypatch.setattr(vmlinux, "extract_elf", missing)
    assert vmlinux.kernel_file(kernel, settings, lines.append) == kernel.image
    assert "apt install zstd" in lines[0]
    monkeypatch.undo()


def test_other_architectures_boot_the_image_itself(kernel, settings):
    arm = msgspec.structs.replace(kernel, arch="arm64")
    assert vmlinux.kernel_file(arm, settings, print) == arm.image
