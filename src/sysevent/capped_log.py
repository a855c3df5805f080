"""Log files of bounded size: the start and the end of what was written, and between them how much was cut.

A guest, QEMU or a compiler that prints without end must fill neither the disk nor memory.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from sysevent.text import last_lines

# Bytes of a pipe that are read at a time.
_CHUNK = 1 << 16


class CappedLog:
    """A log file. No method raises an error when it cannot be written: the reason is kept in `failed`."""

    def __init__(self, path: Path, head: int = 4 << 20, tail: int = 4 << 20, *, append: bool = False) -> None:
        """Create the file. At least its first head bytes and its last tail bytes stay; it has head + 2 * tail at most.

        append: True keeps what is in the file, and counts only what is added.
        """
        self.path = path
        # Why nothing is written any more; "" as long as writing works.
        self.failed = ""
        self._head = head
        self._tail = tail
        # Of what was added, with the note of a cut.
        self._size = 0
        # Where it begins in the file.
        self._begin = 0
        # Bytes that were removed.
        self._cut = 0
        self._file = -1
        try:
            kept = 0 if append else os.O_TRUNC
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | kept | os.O_CLOEXEC, 0o644)
            self._begin = os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            self.failed = f"{path} cannot be written: {error.strerror}"

    def write(self, data: bytes) -> None:
        """Append data; never raises."""
        if self.failed or self._file < 0:
            return
        try:
            for at in range(0, len(data), self._tail):
                self._append(data[at : at + self._tail])
        except OSError as error:
            self.failed = f"{self.path} cannot be written any more: {error.strerror}"

    def _append(self, data: bytes) -> None:
        while data:
            written = os.write(self._file, data)
            data = data[written:]
            self._size += written
        # Room for the note of the cut, so that the limit holds.
        if self._size > self._head + 2 * self._tail - len(_note(0)):
            self._shorten()

    def _shorten(self) -> None:
        """Remove what is between the first and the last bytes. Each byte is moved once at most, on average."""
        end = os.pread(self._file, self._tail, self._begin + self._size - self._tail)
        noted = len(_note(0)) if self._cut else 0
        self._cut += self._size - self._head - noted - len(end)
        kept = _note(self._cut) + end
        os.pwrite(self._file, kept, self._begin + self._head)
        self._size = self._head + len(kept)
        os.ftruncate(self._file, self._begin + self._size)
        os.lseek(self._file, 0, os.SEEK_END)

    def close(self) -> None:
        """Close the file. Further calls do nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _note(cut: int) -> bytes:
    """Return the line in the place of what was cut; its length does not depend on the number."""
    return b"\n[sysevent: %15d bytes were cut here]\n" % cut


def last_lines_in(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, escaped, at most count; none if it cannot be read."""
    try:
        return last_lines(path.read_text(encoding="utf-8", errors="replace").strip(), count)
    except OSError:
        return []


class PipedLog:
    """A log of a child process: a thread copies what the process writes into a pipe."""

    def __init__(self, log: CappedLog) -> None:
        """Take over the log. OSError if no pipe can be created."""
        self._log = log
        # child: file descriptor for the child's standard output and errors.
        try:
            self._read, self.child = os.pipe2(os.O_CLOEXEC)
        except OSError:
            log.close()
            raise
        self._thread = threading.Thread(target=self._copy, name=f"log {log.path.name}", daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        try:
            while data := os.read(self._read, _CHUNK):
                self._log.write(data)
        finally:
            os.close(self._read)
            self._log.close()

    def started(self) -> None:
        """The child has its own copy of the file descriptor, or was not started: close ours."""
        child, self.child = self.child, -1
        if child >= 0:
            os.close(child)

    def wait(self, seconds: float) -> None:
        """Wait until everything that the child wrote is in the log, up to so many seconds."""
        with contextlib.suppress(RuntimeError):
            self._thread.join(seconds)
