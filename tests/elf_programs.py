"""Builds small ELF files that name an interpreter, libraries and folders, for readers of them. They do not run."""

import struct

# e_machine, elf(5).
MACHINES = {"arm64": 183, "riscv64": 243, "x86_64": 62, "i386": 3}
_BASE = 0x1000
_NEEDED, _STRTAB, _STRSZ, _RPATH, _RUNPATH = 1, 5, 10, 15, 29


def elf_program(needed=(), interpreter="", runpath="", rpath="", arch="arm64", kind=3):
    """Return the bytes of a 64-bit ELF file; kind: 2 for ET_EXEC, 3 for ET_DYN, 1 for an object file."""
    strings, tags = b"\0", []
    for tag, text in [
        *((_NEEDED, name) for name in needed),
        (_RUNPATH, runpath),
        (_RPATH, rpath),
    ]:
        if text:
            tags.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    interp = interpreter.encode() + b"\0"
    count = 2 + bool(interpreter)
    start = 64 + 56 * count
    dynamic_at = start + len(interp) + len(strings)
    table = _BASE + start + len(interp)
    tags += [(_STRTAB, table), (_STRSZ, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)

    def header(kind, offset, length):
        return struct.pack("<IIQQQQQQ", kind, 5, offset, _BASE + offset, _BASE + offset, length, length, 8)

    headers = header(1, 0, size) + header(2, dynamic_at, len(dynamic))
    if interpreter:
        headers += header(3, start, len(interp))
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (kind, MACHINES[arch], 1, _BASE, 64, 0, 0, 64, 56, count, 64, 0, 0)
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + headers + interp + strings + dynamic
