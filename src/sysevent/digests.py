"""The SHA-256 of files and folders: what identifies them from one run to the next."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from sysevent.errors import ImageError


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 lower-case hexadecimal digits; OSError.

    Of a folder: the SHA-256 of the names and hashes of all files in it.
    """
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        listed = "".join(f"{digest(file)}  {file.relative_to(path)}\n" for file in inside)
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing(root: Path, wanted: Callable[[Path], bool]) -> bytes:
    """Return a line for each file in a folder that is wanted, sorted: its path in there, and its digest(). OSError.

    wanted: is given the path in the folder.
    """
    named = ((path, path.relative_to(root)) for path in sorted(root.rglob("*")))
    return b"".join(
        f"{name} {digest(path)}\n".encode() for path, name in named if wanted(name) and path.is_file()
    )


# Bytes of a file that are read at a time.
_PIECE = 4 << 20
# SHA-256 by the state of a file, see _state().
_HASHED: dict[tuple[int, ...], str] = {}


def digest_once(path: Path) -> str:
    """Return digest() of a file, remembered by this process until the file changes; ImageError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return digest_of_open(file.fileno())
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None


def digest_of_open(fd: int) -> str:
    """Return what digest_once() returns for an open file; OSError if it cannot be read."""
    status = os.fstat(fd)
    state = _state(status)
    if state not in _HASHED:
        total, at = hashlib.sha256(), 0
        # Few large pieces: both calls release the interpreter's lock, and get it back when another thread lets them.
        buffer = memoryview(bytearray(min(_PIECE, status.st_size) or 1))
        while count := os.preadv(fd, [buffer], at):
            total.update(buffer[:count])
            at += count
        # A file that was written to meanwhile has no content that could be remembered.
        if _state(os.fstat(fd)) != state:
            return total.hexdigest()
        _HASHED[state] = total.hexdigest()
    return _HASHED[state]


def _state(status: os.stat_result) -> tuple[int, ...]:
    """What differs after every write. Unlike the other times, no program can set st_ctime.

    For files that this process has read: nothing but its content identifies a file from one run to the next.
    """
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
