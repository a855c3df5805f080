"""Writes cpio archives in newc format, which the kernel unpacks as initramfs.

Documentation/driver-api/early-userspace/buffer-format.rst. The same entries give the same bytes: an archive
contains no times, no owners, and no inode numbers of this machine.
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
    # As st_mode: file type and permissions.
    mode: int
    data: bytes = b""
    # Major and minor of a device node.
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """Return an entry for a directory with mode 0755."""
    return Entry(path, stat.S_IFDIR | 0o755)


def executable(path: str, data: bytes) -> Entry:
    """Return an entry for a program with mode 0755."""
    return Entry(path, stat.S_IFREG | 0o755, data)


def plain(path: str, data: bytes) -> Entry:
    """Return an entry for a data file with mode 0644."""
    return Entry(path, stat.S_IFREG | 0o644, data)


def character_device(path: str, major: int, minor: int) -> Entry:
    """Return an entry for a character device with mode 0600."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive with these entries, in this order.

    UsageError for a path that is invalid or occurs twice.
    """
    parts: list[bytes] = []
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        pieces = entry.path.split("/")
        valid = entry.path.isprintable() and set(pieces).isdisjoint(("", ".", ".."))
        if not valid or entry.path == _TRAILER:
            raise UsageError(f"a guest's file cannot be called {entry.path[:100]!r}")
        if entry.path in seen:
            raise UsageError(f"two files of a guest are called {entry.path[:100]!r}")
        seen.add(entry.path)
        parts += _member(entry, number)
    parts += _member(Entry(_TRAILER, 0), 0)
    return b"".join(parts)


def _member(entry: Entry, inode: int) -> list[bytes]:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    # Header and name together are padded to a multiple of four bytes, and so is the data.
    return [header, name, bytes(-(len(header) + len(name)) % 4), entry.data, bytes(-len(entry.data) % 4)]
