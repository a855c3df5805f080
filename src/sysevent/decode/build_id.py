"""Reads GNU build IDs: from ELF notes, ELF files, and raw kernel images that hold the notes of a kernel.

The linker hashes all that it links into a build ID (ld, --build-id), so two kernels with one ID are one kernel.
Sources: elf(5), binutils include/elf/common.h, include/asm-generic/vmlinux.lds.h (NOTES).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

import msgspec

from sysevent.decode import elf

_GNU_BUILD_ID = 3
_PT_NOTE, _SHT_NOTE, _SHT_NOBITS = 4, 7, 8
# Bytes of a build ID: 8 (fast), 16 (uuid, md5), 20 (sha1); up to 64 if it was given in hexadecimal.
_MOST = 64
# Type and name of the note with a build ID. In front of them are the sizes of the name and of the content.
_TYPE_AND_NAME = _GNU_BUILD_ID.to_bytes(4, "little") + b"GNU\0"
# Entries of a table that are looked at.
_ENTRIES = 4096


class Buffer(Protocol):
    """Bytes, or a file mapped into memory."""

    def __len__(self) -> int:
        """The number of bytes."""

    def __getitem__(self, index: slice, /) -> bytes:
        """A copy of some bytes."""


class _Form(msgspec.Struct, frozen=True):
    """Where an ELF class has its fields, of which only those are read that matter here."""

    # Size of the file header; in it e_phoff and e_shoff, then e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum.
    size: int
    tables: struct.Struct
    tables_at: int
    counts_at: int
    # Of a program header: p_type, p_offset, p_filesz. Of a section header: sh_type, sh_offset, sh_size.
    segment: struct.Struct
    section: struct.Struct


_COUNTS = struct.Struct("<HHHHH")
_FORMS = {
    1: _Form(52, struct.Struct("<II"), 28, 40, struct.Struct("<II8xI12x"), struct.Struct("<4xI8xII16x")),
    2: _Form(64, struct.Struct("<QQ"), 32, 52, struct.Struct("<I4xQ16xQ16x"), struct.Struct("<4xI16xQQ24x")),
}


class _Range(msgspec.Struct, frozen=True):
    """A part of an ELF file: offset of its first byte, and of the one after its last."""

    start: int
    end: int
    is_note: bool


def of_notes(notes: bytes) -> str:
    """Return the build ID among ELF notes, in hexadecimal; "" if there is none."""
    for note in elf.notes(notes):
        if note.kind == _GNU_BUILD_ID and note.name == b"GNU\0":
            return note.content.hex() if len(note.content) <= _MOST else ""
    return ""


def of_elf(data: Buffer) -> str:
    """Return the build ID of an ELF file, such as vmlinux or a kernel module, in hexadecimal; "" if it has none."""
    for part in _parts(data, 0):
        if part.is_note and (found := of_notes(data[part.start : part.end])):
            return found
    return ""


def of_raw_image(data: bytes) -> tuple[str, ...]:
    """Return the build IDs in a raw kernel image (objcopy -O binary), in hexadecimal, each once.

    Usually it is one, the kernel's. ELF files inside the image have notes of their own, which are left out: vDSOs, and
    the programs and modules of a built-in initramfs.
    """
    inside = [(at, _end(data, at)) for at in _places(data, b"\x7fELF")]
    found = []
    for at in _places(data, _TYPE_AND_NAME):
        # A note begins at a multiple of 4, eight bytes before its type.
        aligned = at >= 8 and at % 4 == 0 and data[at - 8 : at - 4] == b"\x04\0\0\0"
        if aligned and not any(start <= at < end for start, end in inside):
            # One more byte shows that the content is too long for a build ID.
            found.append(of_notes(data[at - 8 : at + len(_TYPE_AND_NAME) + _MOST + 1]))
    return tuple(dict.fromkeys(filter(None, found)))


def _places(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _end(data: bytes, at: int) -> int:
    """Return the offset after the last byte of the ELF file at an offset; the offset itself if it is none."""
    return max((part.end for part in _parts(data, at)), default=at)


def _parts(data: Buffer, at: int) -> Iterator[_Range]:
    """Yield the segments, sections and header tables of the little-endian ELF file at an offset of data."""
    ident = data[at : at + 16]
    form = _FORMS.get(ident[4]) if len(ident) == 16 and ident[:4] == b"\x7fELF" else None
    head = data[at : at + form.size] if form else b""
    if form is None or len(head) < form.size or ident[5:7] != b"\x01\x01":
        return
    segments_at, sections_at = form.tables.unpack_from(head, form.tables_at)
    size, segment_size, segments, section_size, sections = _COUNTS.unpack_from(head, form.counts_at)
    if size != form.size:
        return
    for kind, entry, where, number, step in (
        (_PT_NOTE, form.segment, segments_at, segments, segment_size),
        (_SHT_NOTE, form.section, sections_at, sections, section_size),
    ):
        end = at + where + number * step
        if not number or step != entry.size or end > len(data):
            continue
        yield _Range(at + where, end, False)
        for index in range(min(number, _ENTRIES)):
            first = at + where + index * step
            type_, offset, length = entry.unpack(data[first : first + step])
            if at + offset + length <= len(data) and not (kind == _SHT_NOTE and type_ == _SHT_NOBITS):
                yield _Range(at + offset, at + offset + length, type_ == kind)
