"""How much of a file has been downloaded, for a person who waits."""

from __future__ import annotations

import time

import msgspec

from sysevent.model import Progress


class Meter(msgspec.Struct):
    """Reports the bytes downloaded so far: every half second, and at the end."""

    progress: Progress
    label: str
    total: int
    when: float = msgspec.field(default_factory=time.monotonic)

    def at(self, have: int) -> None:
        """Report that so many bytes are there, unless the last report was a moment ago."""
        now = time.monotonic()
        if have < self.total and now - self.when < 0.5:
            return
        self.when = now
        self.progress(f"{self.label} {have / 1e6:.1f} of {self.total / 1e6:.1f} MB")
