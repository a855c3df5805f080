"""The order of targets and claims in every table, which does not depend on the order of the tests. No I/O."""

from __future__ import annotations

import functools
import re

from sysevent.arches import ABIS, ARCHITECTURES

# A number in a name: 5.10 comes after 5.9.
_NUMBER = re.compile(r"([0-9]+)")

ColumnKey = tuple[int, tuple[object, ...], int]


@functools.cache
def natural(name: str) -> tuple[object, ...]:
    """Return a key that sorts names by their words and by the values of their numbers."""
    # By length first, as int() refuses numbers of more than 4300 digits.
    numbers = ((len(part.lstrip("0")), part.lstrip("0")) for part in _NUMBER.split(name)[1::2])
    words = _NUMBER.split(name)[::2]
    return tuple(each for pair in zip(words, (*numbers, (0, "")), strict=True) for each in pair)


def claim_key(name: str) -> tuple[int, tuple[object, ...]]:
    """Return the key of a claim's name without its prefix: layouts first, then architecture by architecture."""
    arch = name.partition(".")[0]
    return (_architecture(arch) if arch in ARCHITECTURES else -1), natural(name)


def column_key(target: str, abi: str, *, native: bool) -> ColumnKey:
    """Return the key of a column: headers, then targets by architecture and name, each with its kernel's ABI first."""
    if target.partition("@")[0] == "headers":
        return -1, natural(target), 0
    abis = list(ABIS)
    number = abis.index(abi) if abi in ABIS else len(abis)
    return _architecture(ABIS[abi].arch if abi in ABIS else ""), natural(target), 0 if native else 1 + number


def _architecture(name: str) -> int:
    """The number of an architecture in its table; of one of a later version, the number after the last."""
    known = list(ARCHITECTURES)
    return known.index(name) if name in ARCHITECTURES else len(known)
