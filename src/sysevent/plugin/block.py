"""Lines at the bottom of a terminal that are redrawn in place, and make room for everything else that is printed.

rich's Live would have to be what prints all other lines. Here pytest does, through its terminal writer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol

# ECMA-48: cursor up, and erase from the cursor to the end of the screen.
_UP, _ERASE = "\x1b[{}A", "\x1b[J"


class Writer(Protocol):
    """What is used of pytest's terminal writer."""

    @property
    def width_of_current_line(self) -> int:
        """Columns that the last line has so far."""

    def write(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        """Write text."""


class Block:
    """The lines. No mode of the terminal is changed, so nothing has to be restored if this process is killed."""

    def __init__(self, writer: Writer, columns: Callable[[], int]) -> None:
        """Take over the writer until close(). columns: the width of the terminal at this moment."""
        self._writer = writer
        self._write = writer.write
        self._columns = columns
        self._shown: tuple[str, ...] = ()
        # As pytest's plugin pastebin does: everything that is printed passes this method.
        writer.write = self._write_other  # type: ignore[method-assign]
        self._on_continue = signal.signal(signal.SIGCONT, self._continued)

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines in place of the ones that are shown."""
        if tuple(lines) == self._shown:
            return
        erase = self._erasure()
        # Not into a line that another one has begun.
        begin = "\n" if not erase and self._writer.width_of_current_line else ""
        self._write(erase + begin + "".join(f"{line}\n" for line in lines), flush=True)
        self._shown = tuple(lines)

    def clear(self) -> None:
        """Erase the lines."""
        if self._shown:
            self._write(self._erasure(), flush=True)
            self._shown = ()

    def close(self) -> None:
        """Erase the lines and give the writer back."""
        self.clear()
        self._writer.write = self._write  # type: ignore[method-assign]
        signal.signal(signal.SIGCONT, self._on_continue)

    def forget(self) -> None:
        """Leave the lines where they are: what follows was printed below them."""
        self._shown = ()

    def _write_other(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        self.clear()
        self._write(msg, flush=flush, **markup)

    def _erasure(self) -> str:
        """What erases the lines; a terminal that became narrower has wrapped them."""
        columns = max(1, self._columns())
        rows = sum(max(1, -(-len(line) // columns)) for line in self._shown)
        return f"\r{_UP.format(rows)}{_ERASE}" if rows else ""

    def _continued(self, _number: int, _frame: FrameType | None) -> None:
        """The shell of this terminal has printed while this process was stopped by Ctrl-Z."""
        self.forget()


def size(
    term: str | None = None, ask: Callable[[int], os.terminal_size] = os.get_terminal_size
) -> os.terminal_size | None:
    """Return the size of the terminal; None if standard output is none, or one that cannot move its cursor.

    term: what kind of terminal it is; None: what TERM says.
    """
    if (os.environ.get("TERM") if term is None else term) in (None, "", "dumb"):
        return None
    try:
        found = ask(1)
    except OSError:
        return None
    # Some terminals of CI systems and containers have no size.
    return found if found.columns and found.lines else None


def columns() -> int:
    """Return the width of the terminal; 80 if it is gone."""
    found = size()
    return found.columns if found else 80
