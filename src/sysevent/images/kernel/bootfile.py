"""Recognises kernel images by their first bytes: format, architecture, release, and whether they are complete.

Sources: Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst,
Documentation/arch/x86/boot.rst, drivers/firmware/efi/libstub/zboot-header.S, the PE and ELF formats.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.decode.elf import damage_as, notes
from sysevent.errors import ImageError
from sysevent.images import compression
from sysevent.text import printable

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

# Bytes of a kernel image. A vmlinux with debug information has up to one gigabyte.
FILE_MAX = 2 << 30
# A release goes into file names and onto the terminal, so only text of this form is accepted.
_RELEASE = re.compile(rb"\d[\w.+~-]{0,100}")
_BANNER = re.compile(rb"Linux version (%s) \(" % _RELEASE.pattern)
# kernel_version of arch/x86/boot/version.c: the release, and who built it.
_VERSION = re.compile(rb"(%s) " % _RELEASE.pattern)
# XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h.
_PVH_NOTE = 18
# Compressed images in one another: an Image in EFI zboot, in gzip.
_WRAPPED_MAX = 2
# Segments of an ELF kernel, which has five, and bytes of its notes, which are a few hundred.
_SEGMENTS_MAX = 64
_NOTES_MAX = 1 << 16
# Bytes up to the end of the fields that are read: the header of EFI zboot, of PE (the offset of its second part), and
# of a bzImage (up to payload_length).
_ZBOOT_HEADER, _PE_HEADER, _X86_HEADER = 56, 0x40, 0x250
# How other files begin that are named by mistake, and what to do instead.
_MISTAKES = (
    (b"!<arch>\n", "a Debian package, and no kernel image"),
    (
        b"\xed\xab\xee\xdb",
        "an RPM package: unpack it (`mkdir DIR && rpm2cpio FILE | cpio -idmu -D DIR`; the packages with its modules "
        "as well), and name DIR",
    ),
    (b"\xfd7zXZ\0", "compressed with xz: unpack it with `unxz`, and name the result"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it with `unzstd`, and name the result"),
    (b"BZh", "compressed with bzip2: unpack it with `bunzip2`, and name the result"),
    (b"PK\3\4", "a zip archive: unpack it, and name the kernel image in it"),
    (b"070701", "a cpio archive, such as an initramfs: name the kernel image beside it"),
    (b"#!", "a script: name the kernel image itself"),
)


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


def check_start(start: bytes, size: int, name: str) -> None:
    """Raise ImageError if the first bytes of a file (1024, or all of them) show that it is not a kernel image.

    size is that of the whole file. What inspect() accepts passes; what passes can still be damaged.
    """
    for magic, words in _MISTAKES:
        if start.startswith(magic):
            raise ImageError(f"{name} is {words}")
    if start[:4] == b"\x7fELF":
        _check_machine(start, name)
    known = any(start[image.offset :].startswith(image.magic) for image in _IMAGES.values())
    wrapped = start[:2] == b"\x1f\x8b" or (start[:2] == b"MZ" and start[4:8] == b"zimg")
    if known or wrapped or start[:4] == b"\x7fELF":
        return
    if start[:2] == b"MZ" and len(start) >= _PE_HEADER:
        raise ImageError(
            f"{name} is an EFI program, but no kernel for {', '.join(ARCHITECTURES)}: if it is a unified kernel image, "
            "take the kernel out with `objcopy -O binary --only-section=.linux FILE vmlinuz`, and name that"
        )
    if size < 0x206:
        raise ImageError(f"{name} has only {size} bytes: not a kernel image, or truncated")
    raise ImageError(
        f"{name} is not a known kernel image: expected an arm64 or riscv Image, an x86 bzImage, "
        f"an ELF vmlinux, or one of them in gzip or EFI zboot; it begins with {start[:8].hex(' ')}"
    )


def _check_machine(start: bytes, name: str) -> None:
    """Raise ImageError if an ELF file is for a machine that no target has (e_machine)."""
    from elftools.elf.enums import ENUM_E_MACHINE

    order = ">" if start[5:6] == b"\2" else "<"
    if len(start) < 20:
        return
    (number,) = struct.unpack_from(f"{order}H", start, 18)
    machine = next((known for known, value in ENUM_E_MACHINE.items() if value == number), str(number))
    if machine not in {arch.elf_machine for arch in ARCHITECTURES.values()}:
        raise ImageError(
            f"{name} is an ELF file for {machine}: no target runs that; expected a kernel for "
            f"{', '.join(ARCHITECTURES)}"
        )


def inspect(data: bytes, name: str) -> BootFile:
    """Return what data is; name is for messages. ImageError says why it cannot be booted."""
    return _inspect(data, name, 0)


def _inspect(data: bytes, name: str, depth: int) -> BootFile:
    """depth is the number of compressed images around data."""
    check_start(data[:1024], len(data), name)
    for arch, image in _IMAGES.items():
        if data[image.offset : image.offset + len(image.magic)] == image.magic:
            return BootFile(arch, image.kind, image.release(data, name), None)
    if data[:4] == b"\x7fELF":
        return _elf(data, name)
    if depth == _WRAPPED_MAX:
        raise ImageError(
            f"{name} is compressed as well: more than {_WRAPPED_MAX} times, which no boot loader reads"
        )
    if data[:2] == b"\x1f\x8b":
        plain, outer = compression.decompress("gzip", data, name), f"the gzip file {name}"
    else:
        plain, outer = _zboot(data, name), f"the EFI zboot image {name}"
    inner = _inspect(plain, f"the content of {outer}", depth + 1)
    return BootFile(inner.arch, inner.kind, inner.release, inner.unwrapped or plain)


def _pe_image(data: bytes, name: str) -> str:
    """Return the release of an arm64 or riscv Image; ImageError when it is truncated."""
    _check_pe(data, name)
    return _banner(data)


def _bzimage(data: bytes, name: str) -> str:
    """Return the release of a bzImage; ImageError when it is truncated, or not for x86_64."""
    if len(data) < _X86_HEADER:
        raise ImageError(f"{name} is truncated inside its header: {len(data)} bytes")
    setup_sectors, size = data[0x1F1] or 4, struct.unpack_from("<I", data, 0x1F4)[0] * 16
    whole = (setup_sectors + 1) * 512 + size
    if len(data) < whole:
        raise ImageError(f"{name} is truncated: {len(data)} of the {whole} bytes of a bzImage")
    protocol, version, flags = (struct.unpack_from("<H", data, at)[0] for at in (0x206, 0x20E, 0x236))
    # xloadflags, bit 0: XLF_KERNEL_64.
    if protocol < 0x20C or not flags & 1:
        raise ImageError(f"{name} is a 32-bit x86 kernel; a target needs an x86_64 one")
    text = _VERSION.match(data, version + 0x200) if version else None
    return text.group(1).decode() if text else ""


class _Image(msgspec.Struct, frozen=True):
    """How to recognise the image that the boot loaders of an architecture start."""

    offset: int
    magic: bytes
    kind: str
    release: Callable[[bytes, str], str]


_ZBOOT_KINDS: dict[str, compression.Kind] = {"gzip": "gzip", "zstd": "zstd", "xz": "xz", "lzma": "xz"}

_IMAGES: dict[str, _Image] = {
    "arm64": _Image(0x38, b"ARM\x64", "arm64 Image", _pe_image),
    "riscv64": _Image(0x38, b"RSC\x05", "riscv Image", _pe_image),
    "x86_64": _Image(0x202, b"HdrS", "x86 bzImage", _bzimage),
}


def _elf(data: bytes, name: str) -> BootFile:
    # Imported here: slow, and rarely needed.
    from elftools.elf.elffile import ELFFile

    with damage_as(lambda why: ImageError(f"{name} is a damaged or truncated ELF file: {why}")):
        elf = ELFFile(io.BytesIO(data))
        arch = next((arch for arch in ARCHITECTURES.values() if arch.elf_machine == elf["e_machine"]), None)
        segments = _segments(elf, name)
        ends = [start + size for _, start, size in segments]
        ends.append(elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"])
        if max(ends) > len(data):
            raise ImageError(f"{name} is truncated: {len(data)} of the {max(ends)} bytes of an ELF file")
        if arch is None or elf.elfclass != 64:
            raise ImageError(
                f"{name} is an ELF file for {elf['e_machine']} ({elf.elfclass} bits): no target runs that"
            )
        pvh = any(
            (note.kind, note.name) == (_PVH_NOTE, b"Xen\0")
            for kind, start, size in segments
            if kind == "PT_NOTE"
            for note in notes(data[start : start + size], little_endian=elf.little_endian)
        )
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


def _segments(elf: ELFFile, name: str) -> list[tuple[str, int, int]]:
    """Return the type, offset and size of each segment; ImageError when there are too many, or too long notes."""
    number = elf.num_segments()
    if number > _SEGMENTS_MAX:
        raise ImageError(
            f"{name} is an ELF file with {number} segments; a kernel has {_SEGMENTS_MAX} at most"
        )
    found = [
        (str(part["p_type"]), int(part["p_offset"]), int(part["p_filesz"])) for part in elf.iter_segments()
    ]
    if sum(size for kind, _, size in found if kind == "PT_NOTE") > _NOTES_MAX:
        raise ImageError(f"{name} is an ELF file with more than {_NOTES_MAX} bytes of notes")
    return found


def _zboot(data: bytes, name: str) -> bytes:
    """Return the image in an EFI zboot image; ImageError."""
    if len(data) < _ZBOOT_HEADER:
        raise ImageError(f"{name} is truncated inside its header: {len(data)} bytes")
    offset, size = struct.unpack_from("<II", data, 8)
    kind = data[24:56].split(b"\0", 1)[0].decode("ascii", "replace")
    if not size or offset + size > len(data):
        raise ImageError(
            f"{name} is truncated: {len(data)} of the {offset + size} bytes or more of an EFI zboot image"
        )
    # The header has the name of the compressor's rule in scripts/Makefile.lib, such as zstd22.
    for begin, known in _ZBOOT_KINDS.items():
        if kind.startswith(begin):
            return compression.decompress(known, data[offset : offset + size], name)
    raise ImageError(
        f"{name} is compressed with {printable(kind)}, which is not supported; "
        "name the plain Image of the same build instead"
    )


def _check_pe(data: bytes, name: str) -> None:
    """Check the length of an Image with an EFI stub: it is a PE file, whose section table gives the length.

    The header of an Image without a stub does not say how long the file is.
    """
    if data[:2] != b"MZ":
        return
    if len(data) < _PE_HEADER:
        raise ImageError(f"{name} is truncated inside its header: {len(data)} bytes")
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
