"""Faults of files on disk, by name: each a function that injects it into one file.

The file is replaced, not written to: caches of other tests can be links to it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Put another file in the place of one."""
    path.unlink()
    path.write_bytes(data)


def flip(path: Path, at: int = -1, bit: int = 0) -> None:
    """Change one bit of a file: of the byte in its middle, or of another one."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at < 0 else at] ^= 1 << bit
    replace(path, bytes(data))


def empty(path: Path) -> None:
    """Leave a file without content, as a loss of power does before its data is written."""
    replace(path, b"")


def zero(path: Path) -> None:
    """Leave a file with only zero bytes, as ext4 does whose blocks were not written before a loss of power."""
    replace(path, bytes(path.stat().st_size))


def cut(path: Path, size: int = -1) -> None:
    """Leave the first half of a file, or another number of bytes."""
    replace(path, path.read_bytes()[: path.stat().st_size // 2 if size < 0 else size])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "flipped": flip,
    "emptied": empty,
    "zeroed": zero,
    "cut": cut,
    "missing": Path.unlink,
}
