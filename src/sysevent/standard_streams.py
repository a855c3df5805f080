"""Standard input, output and error as a caller may leave them: closed, in another encoding, or without a reader."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterable

_MODES = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_WRONLY}


def repair() -> None:
    """Open what is closed as /dev/null, so that no file or socket gets its number; print any character somehow."""
    for fd, mode in _MODES.items():
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is given, which is fd: those below it are open by now.
            os.open(os.devnull, mode)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name need not be UTF-8, and the terminal need not have every character.
            stream.reconfigure(errors="backslashreplace")


def reader_has_ended() -> bool:
    """Whether standard output or error is a pipe that nothing reads any more."""
    poll = select.poll()
    for fd in (1, 2):
        poll.register(fd, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def discard(fds: Iterable[int] = (1, 2)) -> None:
    """Discard what is still to be written: Python would report it when it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    for fd in fds:
        os.dup2(null, fd)
    os.close(null)


def discard_refused() -> None:
    """Discard what standard output does not take, such as on a full disk: Python's exit code would be 120."""
    try:
        sys.stdout.flush()
    except OSError:
        discard([1])
