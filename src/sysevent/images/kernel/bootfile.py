"""Recognises kernel images by their first bytes: format, architecture, release, and whether they are complete.

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

# A release goes into file names and onto the terminal, so only text of this form is accepted.
_RELEASE = re.compile(rb"\d[\w.+~-]{0,100}")
_BANNER = re.compile(rb"Linux version (%s) \(" % _RELEASE.pattern)
# XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h.
_PVH_NOTE = 18


class BootFile(msgspec.Struct, frozen=True):
    """A kernel image that QEMU can start."""

    # Our name of the architecture.
    arch: str
    # For messages: "arm64 Image", "x86 bzImage", ...
    kind: str
    # The kernel release; "" if the file does not contain it.
    release: str
    # The decompressed image, if the file is gzip or EFI zboot, which not every QEMU can read; else None.
    unwrapped: bytes | None


def inspect(data: bytes, name: str) -> BootFile:
    """Return what data is; name is for messages. ImageError says why it cannot be booted."""
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
        raise ImageError(f"{name} has only {len(data)} bytes: not a kernel image, or truncated")
    raise ImageError(
        f"{name} is not a known kernel image: expected an arm64 or riscv Image, an x86 bzImage, "
        f"an ELF vmlinux, or one of them in gzip or EFI zboot; it begins with {data[:8].hex(' ')}"
    )


def _pe_image(data: bytes, name: str) -> str:
    """Return the release of an arm64 or riscv Image; ImageError when it is truncated."""
    _check_pe(data, name)
    return _banner(data)


def _bzimage(data: bytes, name: str) -> str:
    """Return the release of a bzImage; ImageError when it is truncated, or not for x86_64."""
    setup_sectors, size = data[0x1F1] or 4, struct.unpack_from("<I", data, 0x1F4)[0] * 16
    whole = (setup_sectors + 1) * 512 + size
    if len(data) < whole:
        raise ImageError(f"{name} is truncated: {len(data)} of the {whole} bytes of a bzImage")
    protocol, version, flags = (struct.unpack_from("<H", data, at)[0] for at in (0x206, 0x20E, 0x236))
    # xloadflags, bit 0: XLF_KERNEL_64.
    if protocol < 0x20C or not flags & 1:
        raise ImageError(f"{name} is a 32-bit x86 kernel; a target needs an x86_64 one")
    text = _RELEASE.match(data, version + 0x200) if version else None
    return text.group().decode() if text else ""


class _Image(msgspec.Struct, frozen=True):
    """How to recognise the image that the boot loaders of an architecture start."""

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
    # Imported here: slow, and rarely needed.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import NoteSegment

    try:
        elf = ELFFile(io.BytesIO(data))
        arch = next((arch for arch in ARCHITECTURES.values() if arch.elf_machine == elf["e_machine"]), None)
        ends = [s["p_offset"] + s["p_filesz"] for s in elf.iter_segments()]
        ends.append(elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"])
        if max(ends) > len(data):
            raise ImageError(f"{name} is truncated: {len(data)} of the {max(ends)} bytes of an ELF file")
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
        raise ImageError(f"{name} is a damaged or truncated ELF file: {error}") from None
    if not arch.pvh:
        # QEMU would load such a file as a bare program: without a device tree, at the wrong address.
        raise ImageError(
            f"{name} is an ELF vmlinux for {arch.name}; QEMU boots {arch.boot_image} of the same build instead"
        )
    if not pvh:
        raise ImageError(
            f"{name} has no PVH entry (CONFIG_PVH), so QEMU cannot boot it; name {arch.boot_image} instead"
        )
    return BootFile(arch.name, "ELF vmlinux", _banner(data), None)


def _zboot(data: bytes, name: str) -> BootFile:
    offset, size = struct.unpack_from("<II", data, 8)
    kind = data[24:56].split(b"\0", 1)[0].decode("ascii", "replace")
    if not size or offset + size > len(data):
        raise ImageError(
            f"{name} is truncated: {len(data)} of the {offset + size} bytes or more of an EFI zboot image"
        )
    return _wrapped(_decompress(kind, data[offset : offset + size], name), f"the EFI zboot image {name}")


def _decompress(kind: str, data: bytes, name: str) -> bytes:
    try:
        # The compressed data may be followed by its size (zboot) or padding, which gzip.decompress() rejects.
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
            f"{name} is damaged or truncated: its {kind} data does not decompress {error}".rstrip()
        ) from None
    raise ImageError(
        f"{name} is compressed with {kind}, which is not supported; name the plain Image of the same build instead"
    )


def _wrapped(plain: bytes, name: str) -> BootFile:
    inner = inspect(plain, f"the content of {name}")
    return BootFile(inner.arch, inner.kind, inner.release, inner.unwrapped or plain)


def _check_pe(data: bytes, name: str) -> None:
    """Check the length of an Image with an EFI stub: it is a PE file, whose section table gives the length.

    The header of an Image without a stub does not say how long the file is.
    """
    if data[:2] != b"MZ":
        return
    (at,) = struct.unpack_from("<I", data, 0x3C)
    if len(data) < at + 24 or data[at : at + 4] != b"PE\0\0":
        raise ImageError(f"{name} is truncated inside its header: {len(data)} bytes")
    sections, optional = struct.unpack_from("<H", data, at + 6)[0], struct.unpack_from("<H", data, at + 20)[0]
    table = at + 24 + optional
    if len(data) < table + 40 * sections:
        raise ImageError(f"{name} is truncated inside its header: {len(data)} bytes")
    whole = max(
        (sum(struct.unpack_from("<II", data, table + 40 * number + 16)) for number in range(sections)),
        default=0,
    )
    if len(data) < whole:
        raise ImageError(f"{name} is truncated: {len(data)} of the {whole} bytes of an Image")


def _banner(data: bytes) -> str:
    """Return the release in linux_banner (init/version.c); "" if there is no banner."""
    match = _BANNER.search(data)
    return match.group(1).decode() if match else ""
