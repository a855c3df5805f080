"""Builders for small kernel images and modules, and a mirror that has a kernel made of them."""

import lzma
import struct

import msgspec
import pytest
from debian_mirror import build_deb, make_deb, mirror, progress, settings

from sysevent.arches import architecture
from sysevent.images.kernel import resolve

# Fixtures of debian_mirror, for the tests below this directory.
__all__ = ["make_deb", "mirror", "progress", "settings"]

EM_AARCH64 = 183


def _elf(sections, machine):
    """Return an ELF64 file with these sections and no other content (System V ABI, chapter 4)."""
    names = b"\0" + b"".join(name + b"\0" for name in sections) + b".shstrtab\0"
    body, headers = b"", [bytes(64)]
    for name, data in {**sections, b".shstrtab": names}.items():
        kind = 3 if name == b".shstrtab" else 1
        headers.append(
            struct.pack(
                "<IIQQQQIIQQ", names.index(name + b"\0"), kind, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0
            )
        )
        body += data
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 1, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1
    )
    return header + body + b"".join(headers)


@pytest.fixture
def make_module():
    """make_module(depends, machine, vermagic): an ELF file with the .modinfo of such a kernel module."""

    def make(depends="", machine=EM_AARCH64, vermagic="6.12.1 SMP mod_unload modversions "):
        info = f"license=GPL\0depends={depends}\0vermagic={vermagic}\0".encode()
        return _elf({b".modinfo": info}, machine)

    return make


def _arm64_image(release="6.12.1", tail=b""):
    """Return an arm64 Image with an EFI stub, whose section table gives the length of the file."""
    banner = f"Linux version {release} (user@host) #1".encode() + tail
    header = bytearray(64)
    header[0:2], header[56:60] = b"MZ", b"ARM\x64"
    struct.pack_into("<I", header, 0x3C, 64)
    table = b"PE\0\0" + struct.pack("<HHIIIHH", 0xAA64, 1, 0, 0, 0, 0, 0)
    start = 64 + len(table) + 40
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 0, 0, len(banner), start, 0, 0, 0, 0, 0)
    return bytes(header) + table + section + banner


@pytest.fixture
def arm64_image():
    """arm64_image(release="6.12.1"): the bytes of an arm64 Image."""
    return _arm64_image


@pytest.fixture
def trixie(mirror, make_module):
    """The mirror with a kernel 6.12.1 for arm64: KVM is built in, and three modules depend on each other."""
    mirror.deb = build_deb(
        {
            "boot/vmlinuz-6.12.1+deb13-cloud-arm64": _arm64_image("6.12.1+deb13-cloud-arm64"),
            "usr/lib/modules/6.12.1/kernel/virtio_console.ko.xz": lzma.compress(
                make_module("virtio,virtio_ring")
            ),
            "usr/lib/modules/6.12.1/kernel/virtio.ko.xz": lzma.compress(make_module("virtio_ring")),
            "usr/lib/modules/6.12.1/kernel/virtio-ring.ko.xz": lzma.compress(make_module()),
        }
    )
    mirror.add("trixie", "arm64", [("linux-image-6.12.1+deb13-cloud-arm64", "6.12.1-1", mirror.deb)])
    return mirror


@pytest.fixture
def find(settings, progress):
    """find(spec, arch, **changes): resolve.find() with the test's settings, some of them changed."""

    def find(spec="debian:6.12", arch="arm64", **changes):
        return resolve.find(spec, architecture(arch), msgspec.structs.replace(settings, **changes), progress)

    return find
