"""What was probably meant by a word that is none of the known ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Characters of a word that are compared with the known ones: a longer one is not a typing error of any.
_COMPARED = 60


def names(word: str, known: Iterable[str], count: int = 1, *, tails: bool = False) -> list[str]:
    """The known words that resemble word most, at most count, the best first; an empty list if none does.

    tails: a word may also resemble the end of a known one, from one of its dots on: psci.oof is near arm64.psci.off.
    """
    whole: dict[str, str] = {}
    for name in known:
        parts = name.split(".") if tails else [name]
        for start in range(len(parts)):
            whole.setdefault(".".join(parts[start:]) if tails else name, name)
    near = difflib.get_close_matches(word[:_COMPARED], whole, n=3 * count)
    return list(dict.fromkeys(whole[found] for found in near))[:count]


def hint(word: str, known: Iterable[str], count: int = 1, *, tails: bool = False) -> str:
    """Return ", did you mean debian:6.12?" if a known word resembles word; "" otherwise. As names()."""
    near = names(word, known, count, tails=tails)
    return f", did you mean {' or '.join(near)}?" if near else ""
