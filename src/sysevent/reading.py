"""Reads regular files of bounded size: a user can name a device without end, a pipe, or a file larger than memory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def read_file(path: Path, limit: int) -> bytes:
    """Return the content of a regular file, which may have up to limit bytes.

    OSError, whose strerror is a sentence for the user, when the file cannot be read, is not a regular one, is longer,
    or becomes shorter while it is read. Nothing is read, and nothing is waited for, unless the file is a regular one.
    """
    with _open(path, limit) as (file, size):
        data = file.read(size)
    if len(data) < size:
        raise OSError(errno.EIO, f"only {len(data)} of its {size} bytes can be read", str(path))
    return data


def read_start(path: Path, size: int, limit: int) -> bytes:
    """Return the first bytes of a file, size at most. OSError as from read_file(), with its limit."""
    with _open(path, limit) as (file, _):
        return file.read(size)


def read_end(path: Path, size: int) -> bytes:
    """Return the last bytes of a file of any length, size at most. OSError as from read_file()."""
    with _open(path, sys.maxsize) as (file, length):
        file.seek(max(length - size, 0))
        return file.read(size)


def read_lines(path: Path, limit: int, longest: int) -> Iterator[bytes]:
    """Yield the lines of a file one by one, with their ends; lines of more than longest bytes are left out.

    OSError as from read_file(), with its limit for the whole file. Of a file that grows, what it has at last.
    """
    with _open(path, limit) as (file, _):
        while line := file.readline(longest):
            if len(line) < longest or line.endswith(b"\n"):
                yield line
                continue
            while line and not line.endswith(b"\n"):
                line = file.readline(longest)


@contextlib.contextmanager
def _open(path: Path, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """Give an open regular file and its size; OSError as from read_file()."""
    # A pipe without a writer would block open().
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        size = _check(os.fstat(descriptor), path, limit)
    except OSError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file, size


def _check(found: os.stat_result, path: Path, limit: int) -> int:
    """Return the size of a regular file; OSError as from read_file()."""
    if not stat.S_ISREG(found.st_mode):
        kind = next((words for test, words in _KINDS if test(found.st_mode)), "of an unknown kind")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    if found.st_size > limit:
        raise OSError(
            errno.EFBIG, f"it has {found.st_size} bytes; such a file has {limit} at most", str(path)
        )
    return found.st_size
