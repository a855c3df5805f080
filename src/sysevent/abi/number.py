"""The kind of number that the tables of this package hold: a value, and since which release it exists."""

from __future__ import annotations

import enum

Release = tuple[int, int]

# Of the numbers that every kernel under test has. Any release before 5.10, the oldest of these kernels, would do.
BEFORE_ALL: Release = (4, 4)


def as_register(code: int) -> int:
    """A return code, which may be negative, as a 64-bit register of the guest holds it."""
    return code & (1 << 64) - 1


class Number(enum.IntEnum):
    """One number of the ABI. It is an int, with the release and the commit that added it.

    A row of a table is `NAME = value, since, commit, arch, macro`. Defaults, from the end: those of __new__().
    """

    since: Release
    # The commit that added it, as 12 digits; "" if that is not known for sure.
    commit: str
    # The only architecture that has it; "" for all.
    arch: str
    # Its name in the kernel's headers, where that is not the table's prefix and the row's name.
    macro: str

    def __new__(
        cls, value: int, since: Release = BEFORE_ALL, commit: str = "", arch: str = "", macro: str = ""
    ) -> Number:
        found = int.__new__(cls, value)
        found._value_ = value
        found.since = since
        found.commit = commit
        found.arch = arch
        found.macro = macro
        return found
