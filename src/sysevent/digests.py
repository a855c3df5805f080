"""The SHA-256 of files and folders: what identifies them from one run to the next."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
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


# Bytes of a file that are read at a time, and from which on a file is large.
_PIECE, _LARGE = 4 << 20, 1 << 20
# SHA-256 by the state of a file, see _state(); who computes one; and the large files among them, in their order.
_HASHED: dict[tuple[int, ...], str] = {}
_LOCKS: dict[tuple[int, ...], threading.Lock] = {}
_LARGE_FILES: dict[str, None] = {}


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
    # Another thread may be about to know it.
    with _LOCKS.setdefault(state, threading.Lock()):
        return _HASHED.get(state) or _computed(fd, status)


def large_files() -> list[str]:
    """Return the paths of the large files that digest_once() and digest_of_open() have read, in their order."""
    return list(_LARGE_FILES)


def _computed(fd: int, status: os.stat_result) -> str:
    """Return the SHA-256 of an open file, and remember it, unless the file was written to meanwhile. OSError."""
    if status.st_size >= _LARGE:
        # A small container may have no /proc.
        with contextlib.suppress(OSError):
            _LARGE_FILES[str(Path(f"/proc/self/fd/{fd}").readlink())] = None
    total, at = hashlib.sha256(), 0
    # Few large pieces: both calls release the interpreter's lock, and get it back when another thread lets them.
    buffer = memoryview(bytearray(min(_PIECE, status.st_size) or 1))
    while count := os.preadv(fd, [buffer], at):
        total.update(buffer[:count])
        at += count
    # What was written to meanwhile has no content that could be remembered.
    if _state(os.fstat(fd)) == _state(status):
        _HASHED[_state(status)] = total.hexdigest()
    return total.hexdigest()


def _state(status: os.stat_result) -> tuple[int, ...]:
    """What differs after every write. Unlike the other times, no program can set st_ctime.

    For files that this process has read: nothing but its content identifies a file from one run to the next.
    """
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
