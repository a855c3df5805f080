"""Writes cpio archives in the format that the kernel unpacks into its first root directory.

Documentation/driver-api/early-userspace/buffer-format.rst. Same entries, same bytes: no times, no owners,
no inode numbers of this machine.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable

import msgspec

from sysevent.errors import UsageError

_TRAILER = "TRAILER!!!"


class Entry(msgspec.Struct, frozen=True):
    """One file, directory or device node; the path is relative to the root, without a leading slash."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)  # major, minor


def directory(path: str) -> Entry:
    """A directory for everybody to enter."""
    return Entry(path, stat.S_IFDIR | 0o755)


def executable(path: str, data: bytes) -> Entry:
    """A program."""
    return Entry(path, stat.S_IFREG | 0o755, data)


def plain(path: str, data: bytes) -> Entry:
    """A file to read."""
    return Entry(path, stat.S_IFREG | 0o644, data)


def character_device(path: str, major: int, minor: int) -> Entry:
    """A device node."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive with these entries, in this order; UsageError for paths that the format cannot hold."""
    parts: list[bytes] = []
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        pieces = entry.path.split("/")
        if (
            not entry.path.isprintable()
            or entry.path == _TRAILER
            or not set(pieces).isdisjoint(("", ".", ".."))
        ):
            raise UsageError(f"a guest's file cannot be called {entry.path!r}")
        if entry.path in seen:
            raise UsageError(f"two files of a guest are called {entry.path!r}")
        seen.add(entry.path)
        parts += _member(entry, number)
    parts += _member(Entry(_TRAILER, 0), 0)
    return b"".join(parts)


def _member(entry: Entry, inode: int) -> list[bytes]:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    # Names end on a multiple of four counted from the header's start, data on one of their own.
    return [header, name, bytes(-(len(header) + len(name)) % 4), entry.data, bytes(-len(entry.data) % 4)]
