"""The log of a lab machine's host: a thread adds lines to it, and the main thread writes them to the file."""

from __future__ import annotations

import contextlib
import queue
import time
from pathlib import Path

from sysevent.capped_log import CappedLog, last_lines_in

# Bytes of the start, and of the end, of the log that are kept.
_PART = 1 << 19
# Lines that wait for the main thread; further ones are dropped, until it writes.
_WAITING_MAX = 10_000


class Log:
    """A log file whose lines may come from any thread. Only the main thread calls create(), write() and tail()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = 0.0
        self._file: CappedLog | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def create(self, began: float) -> None:
        """Create the empty file and its directory. Lines show the seconds since began (time.monotonic())."""
        self._began = began
        # Without the directory, the file cannot be created.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = CappedLog(self.path, _PART, _PART)

    def note(self, text: str) -> None:
        """Add a line of this program, with the time."""
        self.add(f"{time.monotonic() - self._began:8.3f} {text}\n")

    def add(self, text: str) -> None:
        """Add text as it is."""
        if self._lines.qsize() < _WAITING_MAX:
            self._lines.put(text)

    def write(self) -> str:
        """Append to the file what was added; return why nothing is written any more, "" as long as writing works."""
        while self._file is not None and not self._lines.empty():
            self._file.write(self._lines.get().encode("utf-8", "replace"))
        return self._file.failed if self._file is not None else ""

    def tail(self, lines: int) -> list[str]:
        """The last lines of the file, after writing what was added; none if it cannot be read."""
        self.write()
        return last_lines_in(self.path, lines)

    def close(self) -> None:
        """Write what was added, and close the file."""
        self.write()
        if self._file is not None:
            self._file.close()
