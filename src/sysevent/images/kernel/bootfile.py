"""Kernel images by their first bytes: what they are, for which architecture, whether they are whole.

Sources: Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst,
Documentation/arch/x86/boot.rst, drivers/firmware/efi/libstub/zboot-header.S, the PE and ELF formats.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import zlib
from collections.abc import Callable

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError
from sysevent.images import compression

# A release becomes part of file names and is printed, so it is only taken when it looks like one.
_RELEASE = re.compile(rb"\d[\w.+~-]{0,100}")
_BANNER = re.compile(rb"Linux version (%s) \(" % _RELEASE.pattern)
_PVH_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h


class BootFile(msgspec.Struct, frozen=True):
    """A kernel image that QEMU can start."""

    arch: str  # our name
    kind: str  # as people call it
    release: str  # "" when the file does not tell
    unwrapped: bytes | None  # the image itself, when the file is a wrapped one that older QEMUs cannot open


def inspect(data: bytes, name: str) -> BootFile:
    """Recognise the image in data; ImageError (naming name) says why it is of no use."""
    for arch, image in _IMAGES.items():
        if data[image.offset : image.offset + len(image.magic)] == image.magic:
            return BootFile(arch, image.kind, image.release(data, name), None)
    if data[:4] == b"\x7fELF":
        return _elf(data, name)
    if data[:2] == b"\x1f\x8b":
        return _wrapped(_decompress("gzip", data, name), f"the gzip file {name}")
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        return _zboot(data, name)
    if len(data) < 0x206:
        raise ImageError(f"{name} has only {len(data)} bytes: not a kernel image, or cut off")
    raise ImageError(
        f"{name} is no kernel image that is known here: expected an arm64 or riscv Image, an x86 bzImage, "
        f"an ELF vmlinux, or one of them in gzip or EFI zboot; it begins with {data[:8].hex(' ')}"
    )


def _pe_image(data: bytes, name: str) -> str:
    """The release of an Image of arm64 or riscv; ImageError when it is cut off."""
    _check_pe(data, name)
    return _banner(data)


def _bzimage(data: bytes, name: str) -> str:
    """The release of a bzImage; ImageError when it is cut off, or for another architecture than x86_64."""
    setup_sectors, size = data[0x1F1] or 4, struct.unpack_from("<I", data, 0x1F4)[0] * 16
    whole = (setup_sectors + 1) * 512 + size
    if len(data) < whole:
        raise ImageError(f"{name} is cut off: a bzImage of {whole} bytes, {len(data)} are there")
    protocol, version, flags = (struct.unpack_from("<H", data, at)[0] for at in (0x206, 0x20E, 0x236))
    if protocol < 0x20C or not flags & 1:  # XLF_KERNEL_64
        raise ImageError(f"{name} is a 32-bit x86 kernel; guests here are x86_64")
    text = _RELEASE.match(data, version + 0x200) if version else None
    return text.group().decode() if text else ""


class _Image(msgspec.Struct, frozen=True):
    """How the image that an architecture's boot loaders take is recognised."""

    offset: int
    magic: bytes
    kind: str
    release: Callable[[bytes, str], str]


_IMAGES: dict[str, _Image] = {
    "arm64": _Image(0x38, b"ARM\x64", "arm64 Image", _pe_image),
    "riscv64": _Image(0x38, b"RSC\x05", "riscv Image", _pe_image),
    "x86_64": _Image(0x202, b"HdrS", "x86 bzImage", _bzimage),
}


def _elf(data: bytes, name: str) -> BootFile:
    from elftools.common.exceptions import ELFError  # here: slow to import, and rarely needed
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import NoteSegment

    try:
        elf = ELFFile(io.BytesIO(data))
        arch = next((arch for arch in ARCHITECTURES.values() if arch.elf_machine == elf["e_machine"]), None)
        ends = [s["p_offset"] + s["p_filesz"] for s in elf.iter_segments()]
        ends.append(elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"])
        if max(ends) > len(data):
            raise ImageError(f"{name} is cut off: an ELF file of {max(ends)} bytes, {len(data)} are there")
        if arch is None or elf.elfclass != 64:
            raise ImageError(
                f"{name} is an ELF file for {elf['e_machine']} ({elf.elfclass} bits): no target runs that"
            )
        pvh = any(
            note["n_name"] == "Xen" and note["n_type"] in (_PVH_NOTE, "XEN_ELFNOTE_PHYS32_ENTRY")
            for segment in elf.iter_segments()
            if isinstance(segment, NoteSegment)
            for note in segment.iter_notes()
        )
    except (ELFError, struct.error, ValueError) as error:
        raise ImageError(f"{name} is a damaged ELF file, or cut off: {error}") from None
    if not arch.pvh:
        # QEMU loads such a file, but as a bare program: without a device tree, at the wrong address.
        raise ImageError(
            f"{name} is an ELF vmlinux for {arch.name}; QEMU boots {arch.boot_image} of the same build instead"
        )
    if not pvh:
        raise ImageError(
            f"{name} has no PVH entry (CONFIG_PVH), so QEMU cannot boot it; take {arch.boot_image}"
        )
    return BootFile(arch.name, "ELF vmlinux", _banner(data), None)


def _zboot(data: bytes, name: str) -> BootFile:
    offset, size = struct.unpack_from("<II", data, 8)
    kind = data[24:56].split(b"\0", 1)[0].decode("ascii", "replace")
    if not size or offset + size > len(data):
        raise ImageError(
            f"{name} is cut off: an EFI zboot image of at least {offset + size} bytes, {len(data)} are there"
        )
    return _wrapped(_decompress(kind, data[offset : offset + size], name), f"the EFI zboot image {name}")


def _decompress(kind: str, data: bytes, name: str) -> bytes:
    try:
        # Behind the compressed data may stand its size (zboot) or padding, which gzip.decompress() refuses.
        if kind.startswith("gzip"):
            stream = zlib.decompressobj(wbits=31)
            plain = stream.decompress(data)
            if not stream.eof:
                raise EOFError
            return plain
        if kind.startswith("zstd"):
            return compression.unzstd(data, name)
        if kind in ("xz", "xzkern", "lzma"):
            return lzma.LZMADecompressor().decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise ImageError(
            f"{name} is damaged or cut off: its {kind} data does not decompress {error}".rstrip()
        ) from None
    raise ImageError(
        f"{name} is compressed with {kind}, which is not known here; take the plain Image of the same build"
    )


def _wrapped(plain: bytes, name: str) -> BootFile:
    inner = inspect(plain, f"what is inside {name}")
    return BootFile(inner.arch, inner.kind, inner.release, inner.unwrapped or plain)


def _check_pe(data: bytes, name: str) -> None:
    """Images with an EFI stub are PE files, whose section table tells how long they must be."""
    if data[:2] != b"MZ":
        return  # no EFI stub: nothing in the header tells the length of the file
    (at,) = struct.unpack_from("<I", data, 0x3C)
    if len(data) < at + 24 or data[at : at + 4] != b"PE\0\0":
        raise ImageError(f"{name} is cut off inside its header: {len(data)} bytes")
    sections, optional = struct.unpack_from("<H", data, at + 6)[0], struct.unpack_from("<H", data, at + 20)[0]
    table = at + 24 + optional
    if len(data) < table + 40 * sections:
        raise ImageError(f"{name} is cut off inside its header: {len(data)} bytes")
    whole = max(
        (sum(struct.unpack_from("<II", data, table + 40 * number + 16)) for number in range(sections)),
        default=0,
    )
    if len(data) < whole:
        raise ImageError(f"{name} is cut off: an Image of {whole} bytes, {len(data)} are there")


def _banner(data: bytes) -> str:
    """The release in linux_banner (init/version.c)."""
    match = _BANNER.search(data)
    return match.group(1).decode() if match else ""
