"""What /proc says of a process, empty if it has ended; and signals."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def name(pid: int) -> str:
    """The first 15 bytes of its program's name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def words(pid: int) -> list[bytes]:
    """The words of its command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def state(pid: int) -> str:
    """Its state as one letter: see proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def send(pid: int, number: int) -> None:
    """Send it a signal, unless it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
