"""What readers of ELF files share: the walk over notes, and what pyelftools raises for a damaged file."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator

import msgspec

from sysevent.errors import SyseventError
from sysevent.text import one_line

# The header of a note, elf(5): the sizes of name and content, and its type.
_NOTE = {True: struct.Struct("<III"), False: struct.Struct(">III")}


class Note(msgspec.Struct, frozen=True):
    """A note of an ELF file."""

    kind: int
    # With its NUL.
    name: bytes
    content: bytes


def notes(data: bytes, *, little_endian: bool = True) -> Iterator[Note]:
    """Yield the notes of a section or segment, up to one that is not complete; its content may be cut off."""
    header, at = _NOTE[little_endian], 0
    while at + header.size <= len(data):
        name_size, size, kind = header.unpack_from(data, at)
        name = at + header.size
        content = name + (name_size + 3 & ~3)
        yield Note(kind, data[name : name + name_size], data[content : content + size])
        at = content + (size + 3 & ~3)


@contextlib.contextmanager
def damage_as(error: Callable[[str], SyseventError]) -> Iterator[None]:
    """Turn any exception of pyelftools into one of this project, made by error() from a line of text.

    pyelftools trusts what it reads: offsets, sizes and indexes of a damaged file lead to exceptions of Python, of
    the library construct and of its own. All of them mean the same. The new one has no cause, because the frames of
    the old one hold the file's bytes.
    """
    try:
        yield
    except SyseventError:
        raise
    except OSError as found:
        raise error(found.strerror or one_line(found)) from None
    except Exception as found:
        raise error(f"{type(found).__name__}: {one_line(found)[:200]}") from None
