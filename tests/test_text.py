"""Nothing from outside drives a terminal, and what is shortened keeps what matters."""

import pytest

from sysevent.text import escape, first_line, last_lines, one_line, printable


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain text: ünïcode", "plain text: ünïcode"),
        ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x00\x08\x0b\x0c\x7f", "\\x00\\x08\\x0b\\x0c\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("\u202eright to left\u2028", "\\x202eright to left\\x2028"),
    ],
)
def test_escape(text, safe):
    assert escape(text) == safe


def test_escape_passes_no_control_character():
    """Of the first 768 code points, only the tab and the line feed remain."""
    passed = [n for n in range(0x300) if not escape(chr(n)).isprintable()]
    assert passed == [9, 10]


def test_printable():
    """One question mark for one character, so that widths stay."""
    assert printable("a\x1b[2J\n\u202eb ü") == "a?[2J??b ü"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("one", "one"),
        ("\n  first\nsecond\n", "first"),
        ("\x1b[2J\nsecond", "\\x1b[2J"),
    ],
)
def test_first_line(text, line):
    assert first_line(text) == line


def test_last_lines():
    """All lines of a short text; lines of an escaped text end only at line feeds."""
    assert last_lines("", 2) == []
    assert last_lines("one\r\ntwo", 5) == ["one", "two"]
    assert last_lines("one\ntwo\nthree\x0bfour\x1b\n", 2) == ["two", "three\\x0bfour\\x1b"]


def test_one_line():
    assert one_line(ValueError("what\nand more")) == "what"
    assert one_line(ValueError()) == "ValueError()"
    assert one_line("what\nand more") == "what"
