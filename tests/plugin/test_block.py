"""Lines at the bottom of a terminal, redrawn in place."""

import os
import signal

import pytest
from plugin_terminals import Terminal

from sysevent.plugin import block
from sysevent.plugin.block import Block


class Writer:
    """pytest's terminal writer, with a terminal behind it."""

    def __init__(self):
        self.terminal, self.writes = Terminal(), 0

    @property
    def width_of_current_line(self):
        return len(self.terminal.lines[-1])

    def write(self, msg, *, flush=False, **markup):
        self.writes += 1
        self.terminal.feed(msg)


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def drawn(writer):
    found = Block(writer, lambda: 80)
    yield found
    found.close()


def test_redrawn_in_place(writer, drawn):
    drawn.draw(["a 1", "b 1"])
    drawn.draw(["a 2", "b 1"])
    assert writer.terminal.lines == ["a 2", "b 1", ""]
    drawn.draw(["b 1"])
    assert writer.terminal.lines == ["b 1", ""]
    drawn.draw([])
    assert writer.terminal.lines == [""]


def test_what_has_not_changed_is_not_written(writer, drawn):
    drawn.draw(["a"])
    drawn.draw(["a"])
    assert writer.writes == 1


def test_everything_else_is_above(writer, drawn):
    """The lines make room, and come back below what was printed."""
    writer.write("collected\n")
    drawn.draw(["a", "b"])
    writer.write("answers\n")
    assert writer.terminal.lines == ["collected", "answers", ""]
    drawn.draw(["a", "b"])
    assert writer.terminal.lines == ["collected", "answers", "a", "b", ""]


def test_not_in_the_line_of_another(writer, drawn):
    writer.write("half a line")
    drawn.draw(["a"])
    drawn.draw(["b"])
    assert writer.terminal.lines == ["half a line", "b", ""]


def test_nothing_is_left(writer):
    before = signal.getsignal(signal.SIGCONT)
    found = Block(writer, lambda: 80)
    found.draw(["a"])
    found.close()
    assert writer.terminal.lines == [""]
    writer.write("after")
    assert writer.terminal.lines == ["after"]
    assert signal.getsignal(signal.SIGCONT) is before


def test_a_terminal_that_became_narrower(writer):
    """A line of ten columns takes three of four columns each."""
    writer.terminal.feed("kept\n")
    width = 80
    found = Block(writer, lambda: width)
    found.draw(["x" * 10, ""])
    # As such a terminal shows it.
    writer.terminal.lines[1:] = ["xxxx", "xxxx", "xx", "", ""]
    writer.terminal.row, width = 5, 4
    found.close()
    assert writer.terminal.lines == ["kept", ""]


def test_stopped_and_continued(writer, drawn):
    """The shell has printed below the lines, which therefore stay."""
    drawn.draw(["a"])
    os.kill(os.getpid(), signal.SIGCONT)
    writer.terminal.feed("$ fg\n")
    drawn.draw(["b"])
    assert writer.terminal.lines == ["a", "$ fg", "b", ""]


def fails(_):
    raise OSError


@pytest.mark.parametrize(
    ("term", "ask", "found"),
    [
        ("xterm", lambda fd: os.terminal_size((70, 20)), (70, 20)),
        ("dumb", lambda fd: os.terminal_size((70, 20)), None),
        ("", lambda fd: os.terminal_size((70, 20)), None),
        ("xterm", lambda fd: os.terminal_size((0, 0)), None),
        ("xterm", fails, None),
    ],
)
def test_size(term, ask, found):
    """None for what is no terminal, or one without a cursor that moves."""
    assert block.size(term, ask) == found
