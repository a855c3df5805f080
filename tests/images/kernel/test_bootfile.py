"""Recognition of kernel images, and the messages for files that cannot be booted."""

import gzip
import lzma
import shutil
import struct
import subprocess

import pytest
from kernel_images import empty_bzimage, riscv_image, vmlinux, zboot

from sysevent.errors import ImageError
from sysevent.images.kernel import bootfile


def test_arm64(arm64_image):
    found = bootfile.inspect(arm64_image("6.12.1-mine"), "Image")
    assert (found.arch, found.release, found.unwrapped) == ("arm64", "6.12.1-mine", None)


@pytest.mark.parametrize("release", ["6/../../x", "6\x1b[2J", "x" * 9])
def test_an_invalid_release_is_ignored(arm64_image, release):
    assert bootfile.inspect(arm64_image(release), "Image").release == ""
    assert set("/\x1b").isdisjoint(bootfile.inspect(empty_bzimage(release), "bzImage").release)


def test_riscv64():
    found = bootfile.inspect(riscv_image(), "Image")
    assert (found.arch, found.release) == ("riscv64", "6.12.1")


def test_x86_64():
    found = bootfile.inspect(empty_bzimage(), "bzImage")
    assert (found.arch, found.release) == ("x86_64", "6.12.1-test")
    found = bootfile.inspect(vmlinux(), "vmlinux")
    assert (found.arch, found.release, found.kind) == ("x86_64", "6.12.1", "ELF vmlinux")


def test_gzip(arm64_image):
    plain = arm64_image()
    found = bootfile.inspect(gzip.compress(plain), "Image.gz")
    assert (found.arch, found.unwrapped) == ("arm64", plain)


@pytest.mark.parametrize(
    ("kind", "compress"),
    [
        (b"gzip", lambda data: gzip.compress(data) + bytes(4)),
        (b"xzkern", lambda data: lzma.compress(data) + bytes(4)),
        (
            b"zstd22",
            lambda data: subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout,
        ),
    ],
)
def test_zboot(arm64_image, kind, compress):
    if kind == b"zstd22" and shutil.which("zstd") is None:
        pytest.skip("zstd is not installed: apt install zstd")
    plain = arm64_image()
    assert bootfile.inspect(zboot(compress(plain), kind), "vmlinuz.efi").unwrapped == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: image[:-1], "bytes of an Image"),
        (lambda image: image[:100], "truncated inside its header"),
        (lambda image: image[:70], "truncated inside its header"),
        (lambda image: image[:40], "has only 40 bytes"),
        (lambda image: b"", "has only 0 bytes"),
        (lambda image: gzip.compress(image)[:-20], "truncated: its gzip data"),
        (
            lambda image: gzip.compress(b"hello" * 200),
            "the content of the gzip file X is not a known kernel image",
        ),
        (lambda image: zboot(gzip.compress(image))[:-1], "bytes or more of an EFI zboot image"),
        (lambda image: zboot(gzip.compress(image)[:-9]), "its gzip data"),
        (lambda image: zboot(image, b"lz4"), "compressed with lz4"),
        (lambda image: empty_bzimage()[:-1], "truncated: 1599 of the 1600 bytes of a bzImage"),
        (lambda image: empty_bzimage(flags=0), "32-bit x86"),
        (lambda image: vmlinux()[:130], "bytes of an ELF file"),
        (lambda image: vmlinux()[:30], "damaged or truncated ELF file"),
        (lambda image: vmlinux(note=17), "no PVH entry"),
        (lambda image: vmlinux(machine=183), "arch/arm64/boot/Image"),
        (lambda image: vmlinux(machine=21), "EM_PPC64"),
        (lambda image: b"<!DOCTYPE html>" + bytes(1000), "begins with 3c 21"),
        (lambda image: b"MZ\0\0zimg", "truncated inside its header: 8 bytes"),
        (lambda image: b"MZ\0\0zimg" + bytes(60), "bytes or more of an EFI zboot image"),
        (lambda image: image[:60], "truncated inside its header: 60 bytes"),
        (lambda image: empty_bzimage()[:0x208], "truncated inside its header: 520 bytes"),
        (lambda image: gzip.compress(gzip.compress(gzip.compress(image))), "compressed as well"),
        (
            lambda image: zboot(gzip.compress(zboot(lzma.compress(gzip.compress(image)), b"xz"))),
            "compressed as well",
        ),
        (lambda image: zboot(image, b"\x1b[2J"), r"compressed with \?\[2J"),
        (lambda image: b"!<arch>\ndebian-binary   ", "a Debian package, and no kernel image"),
        (lambda image: lzma.compress(image), "compressed with xz"),
        (lambda image: b"070701" + bytes(600), "a cpio archive"),
    ],
)
def test_images_that_cannot_be_booted(arm64_image, change, message):
    with pytest.raises(ImageError, match=message) as caught:
        bootfile.inspect(change(arm64_image()), "X")
    assert "X" in str(caught.value)
    assert "\n" not in str(caught.value)


def with_segments(count, notes):
    """Return a vmlinux that says that it has so many segments, and notes of such a size."""
    data = bytearray(vmlinux() + bytes(1 << 17))
    struct.pack_into("<H", data, 56, count)
    struct.pack_into("<QQ", data, 96, notes, notes)
    return bytes(data)


@pytest.mark.parametrize(("count", "notes"), [(60000, 24), (1, 1 << 17)])
def test_an_elf_file_with_too_much_in_it(count, notes):
    with pytest.raises(ImageError, match=r"60000 segments|bytes of notes"):
        bootfile.inspect(with_segments(count, notes), "X")


def test_a_gzip_bomb(monkeypatch):
    monkeypatch.setattr(bootfile.compression.decompress, "__defaults__", (1 << 20,))
    with pytest.raises(ImageError, match="X decompresses to more than the 1048576 bytes"):
        bootfile.inspect(gzip.compress(bytes(2 << 20)), "X")
