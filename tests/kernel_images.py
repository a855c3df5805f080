"""Small synthetic kernel images with build IDs: ELF files, bzImages, and raw images of arm64 and riscv64."""

import struct

_HEADER = {32: 52, 64: 64}
_MACHINES = {"arm64": 183, "riscv64": 243, "x86_64": 62}


def note(content, name=b"GNU\0", kind=3):
    """Return an ELF note; the type is that of a build ID."""
    padded = content + bytes(-len(content) % 4)
    return struct.pack("<III", len(name), len(content), kind) + name + bytes(-len(name) % 4) + padded


def elf(notes, *, bits=64, table="segments", arch="x86_64"):
    """Return an ELF file whose only segment, or section, holds these notes."""
    size = _HEADER[bits]
    kind, at, length = (4 if table == "segments" else 7), 0, len(notes)
    if table == "segments":
        where = size
        row = 56 if bits == 64 else 32
        at = size + row
        entry = (
            struct.pack("<IIQQQQQQ", kind, 4, at, 0, 0, length, length, 4)
            if bits == 64
            else struct.pack("<8I", kind, at, 0, 0, length, length, 4, 4)
        )
        body, counts = entry + notes, (size, row, 1, 0, 0)
        tables = (where, 0)
    else:
        row = 64 if bits == 64 else 40
        at, where = size, size + length
        entry = (
            struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, at, length, 0, 0, 4, 0)
            if bits == 64
            else struct.pack("<10I", 0, kind, 0, 0, at, length, 0, 0, 4, 0)
        )
        body, counts = notes + entry, (size, 0, 0, row, 1)
        tables = (0, where)
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    word = "Q" if bits == 64 else "I"
    head = ident + struct.pack(f"<HHI{word}{word}{word}I", 2, _MACHINES[arch], 1, 0, *tables, 0)
    return head + struct.pack("<HHHHHH", *counts, 0) + body


def raw_image(content, arch="arm64"):
    """Return an Image as objcopy -O binary makes it, without an EFI stub."""
    head = bytearray(64)
    magic = {"arm64": b"ARM\x64", "riscv64": b"RSC\x05"}[arch]
    head[0x38:0x3C] = magic
    return bytes(head) + content


def bzimage(packed, version=0x20F):
    """Return a bzImage around a compressed kernel."""
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<II", setup, 0x248, 64, len(packed))
    return bytes(setup) + b"\0" * 64 + packed + b"padding"
