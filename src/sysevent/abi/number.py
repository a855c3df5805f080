"""The kind of number that the tables of this package hold: a value, and since which release it exists."""

from __future__ import annotations

import enum

Release = tuple[int, int]

# Older than any kernel that this suite is about.
ANCIENT: Release = (4, 4)


class Number(enum.IntEnum):
    """One number of the ABI. It is an int, with the release that brought it.

    A row of a table is `NAME = value`, or `NAME = value, since`, or `NAME = value, since, arch, macro`.
    """

    since: Release
    # The only architecture that has it; "" for all.
    arch: str
    # Its name in the kernel's headers, where that is not the table's prefix and the row's name.
    macro: str

    def __new__(cls, value: int, since: Release = ANCIENT, arch: str = "", macro: str = "") -> Number:
        found = int.__new__(cls, value)
        found._value_ = value
        found.since = since
        found.arch = arch
        found.macro = macro
        return found
