"""Text from outside made safe for terminals and reports, and cut to what a line or a report has space for.

What comes from guests, lab machines, other users and git can hold control characters (ECMA-48) that move the
cursor, hide text or set a title, and characters that reorder what a reader sees. `str.isprintable` is the test for
all of them: it is false for the categories Other and Separator of Unicode, except for the space.
"""

from __future__ import annotations


def escape(text: str) -> str:
    """Text of one or more lines with each unprintable character written as \\xHH, its code point in hexadecimal.

    Line feeds and tabs stay. Carriage returns are dropped: serial lines and terminals end lines with CR LF.
    """
    if text.isprintable():
        # Nearly all text is: a report on 50,000 verdicts takes half the time.
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text.replace("\r", "")
    )


def escape_line(text: str) -> str:
    """Text of one line, escaped; a line feed in it, which would begin a line of its own, is written as \\x0a."""
    return escape(text).replace("\n", "\\x0a")


def printable(text: str) -> str:
    """Text for one cell or name: each unprintable character, also a line end, is replaced by a question mark."""
    return "".join(c if c.isprintable() else "?" for c in text)


def first_line(text: str) -> str:
    """The first line that is not blank, escaped; empty if there is none."""
    return escape(text.strip().partition("\n")[0])


def last_lines(text: str, count: int) -> list[str]:
    """The last lines, escaped, at most count; an empty list if there is no text."""
    return escape(text).splitlines()[-count:]


def one_line(error: Exception | str) -> str:
    """An exception, or a message, as one escaped line: its first line, or its repr if it is empty."""
    return first_line(str(error)) or repr(error)
