"""Faults of files on disk, by name: each a function that injects it into one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def flip(path: Path, at: int = -1) -> None:
    """Change one bit of a file: of the byte in its middle, or of another one."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at < 0 else at] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    """Leave a file without content, as a loss of power does before its data is written."""
    path.write_bytes(b"")


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "flipped": flip,
    "emptied": empty,
    "cut": cut,
    "missing": Path.unlink,
}
