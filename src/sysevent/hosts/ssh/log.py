"""The log of a lab machine's host: a thread adds lines to it, and the main thread writes them to the file."""

from __future__ import annotations

import contextlib
import queue
import time
from pathlib import Path

# Bytes of the file; lines beyond are dropped.
_LIMIT = 1 << 20


class Log:
    """A log file whose lines may come from any thread. Only the main thread calls create(), write() and tail()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = 0.0
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def create(self, began: float) -> None:
        """Create the empty file and its directory. Lines show the seconds since began (time.monotonic())."""
        self._began = began
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")

    def note(self, text: str) -> None:
        """Add a line of this program, with the time."""
        self.add(f"{time.monotonic() - self._began:8.3f} {text}\n")

    def add(self, text: str) -> None:
        """Add text as it is."""
        self._lines.put(text)

    def write(self) -> None:
        """Append to the file what was added; a file that cannot be written is left as it is."""
        with contextlib.suppress(OSError), self.path.open("a") as file:
            while not self._lines.empty():
                text = self._lines.get()
                if file.tell() < _LIMIT:
                    file.write(text)

    def tail(self, lines: int) -> list[str]:
        """The last lines of the file, after writing what was added."""
        self.write()
        return self.path.read_text(errors="replace").splitlines()[-lines:]
