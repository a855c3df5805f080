"""Small synthetic kernels: notes, ELF files, modules, bzImages, EFI zboot, raw images, and what marks a source tree."""

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


def _elf_of_sections(sections, machine):
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


def module(depends="", machine=_MACHINES["arm64"], vermagic="6.12.1 SMP mod_unload modversions "):
    """Return an ELF file with the .modinfo of such a kernel module."""
    info = f"license=GPL\0depends={depends}\0vermagic={vermagic}\0".encode()
    return _elf_of_sections({b".modinfo": info}, machine)


def arm64_image(release="6.12.1", tail=b""):
    """Return an arm64 Image with an EFI stub, whose section table gives the length of the file."""
    banner = f"Linux version {release} (user@host) #1".encode() + tail
    header = bytearray(64)
    header[0:2], header[56:60] = b"MZ", b"ARM\x64"
    struct.pack_into("<I", header, 0x3C, 64)
    table = b"PE\0\0" + struct.pack("<HHIIIHH", 0xAA64, 1, 0, 0, 0, 0, 0)
    start = 64 + len(table) + 40
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 0, 0, len(banner), start, 0, 0, 0, 0, 0)
    return bytes(header) + table + section + banner


def riscv_image(release="6.12.1"):
    """Return a riscv Image without an EFI stub."""
    return raw_image(f"Linux version {release} (x)".encode(), "riscv64")


def empty_bzimage(release="6.12.1-test", protocol=0x20F, flags=1):
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


def vmlinux(machine=_MACHINES["x86_64"], note=18):
    """Return an ELF file with one note segment; the note of PVH has type 18."""
    notes = struct.pack("<III", 4, 8, note) + b"Xen\0" + bytes(8)
    banner = b"Linux version 6.12.1 (x)"
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(notes), len(notes), 4)
    return header + segment + notes + banner


def zboot(payload, kind=b"gzip"):
    """Return an EFI zboot image around a compressed one."""
    header = bytearray(64)
    header[0:2], header[4:8], header[24 : 24 + len(kind)] = b"MZ", b"zimg", kind
    struct.pack_into("<II", header, 8, 64, len(payload))
    return bytes(header) + payload


def source_tree(path):
    """Make a directory what is taken for the source of a kernel, and return it; files that exist are kept."""
    (path / "arch").mkdir(parents=True, exist_ok=True)
    for name in ("Kbuild", "Makefile"):
        (path / name).touch()
    return path
