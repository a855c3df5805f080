"""Recognition of kernel images, and the messages for files that cannot be booted."""

import gzip
import lzma
import shutil
import struct
import subprocess

import pytest

from sysevent.errors import ImageError
from sysevent.images.kernel import bootfile


def riscv_image(release="6.12.1"):
    header = bytearray(64)
    header[0x38:0x3C] = b"RSC\x05"
    return bytes(header) + f"Linux version {release} (x)".encode()


def bzimage(release="6.12.1-test", protocol=0x20F, flags=1):
    """Return a bzImage with two setup sectors and 64 bytes of kernel."""
    data = bytearray(3 * 512 + 64)
    data[0x1F1], data[0x202:0x206] = 2, b"HdrS"
    struct.pack_into("<I", data, 0x1F4, 4)
    struct.pack_into("<H", data, 0x206, protocol)
    struct.pack_into("<H", data, 0x20E, 0x100)
    struct.pack_into("<H", data, 0x236, flags)
    text = f"{release} (user@host) #1 SMP\0".encode()
    data[0x300 : 0x300 + len(text)] = text
    return bytes(data)


def vmlinux(machine=62, note=18):
    """Return an ELF file with one note segment; the note of PVH has type 18."""
    notes = struct.pack("<III", 4, 8, note) + b"Xen\0" + bytes(8)
    banner = b"Linux version 6.12.1 (x)"
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(notes), len(notes), 4)
    return header + segment + notes + banner


def zboot(payload, kind=b"gzip"):
    header = bytearray(64)
    header[0:2], header[4:8], header[24 : 24 + len(kind)] = b"MZ", b"zimg", kind
    struct.pack_into("<II", header, 8, 64, len(payload))
    return bytes(header) + payload


def test_arm64(arm64_image):
    found = bootfile.inspect(arm64_image("6.12.1-mine"), "Image")
    assert (found.arch, found.release, found.unwrapped) == ("arm64", "6.12.1-mine", None)


@pytest.mark.parametrize("release", ["6/../../x", "6\x1b[2J", "x" * 9])
def test_an_invalid_release_is_ignored(arm64_image, release):
    assert bootfile.inspect(arm64_image(release), "Image").release == ""
    assert set("/\x1b").isdisjoint(bootfile.inspect(bzimage(release), "bzImage").release)


def test_riscv64():
    found = bootfile.inspect(riscv_image(), "Image")
    assert (found.arch, found.release) == ("riscv64", "6.12.1")


def test_x86_64():
    found = bootfile.inspect(bzimage(), "bzImage")
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
        (lambda image: bzimage()[:-1], "truncated: 1599 of the 1600 bytes of a bzImage"),
        (lambda image: bzimage(flags=0), "32-bit x86"),
        (lambda image: vmlinux()[:130], "bytes of an ELF file"),
        (lambda image: vmlinux()[:30], "damaged or truncated ELF file"),
        (lambda image: vmlinux(note=17), "no PVH entry"),
        (lambda image: vmlinux(machine=183), "arch/arm64/boot/Image"),
        (lambda image: vmlinux(machine=21), "EM_PPC64"),
        (lambda image: b"<!DOCTYPE html>" + bytes(1000), "begins with 3c 21"),
    ],
)
def test_images_that_cannot_be_booted(arm64_image, change, message):
    with pytest.raises(ImageError, match=message) as caught:
        bootfile.inspect(change(arm64_image()), "X")
    assert "X" in str(caught.value)
    assert "\n" not in str(caught.value)
