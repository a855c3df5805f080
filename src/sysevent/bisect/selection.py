"""The claims that a pattern selects."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from sysevent.contract.claim import PREFIX
from sysevent.errors import UsageError


class Named(Protocol):
    """A claim of any kind."""

    @property
    def name(self) -> str: ...


class OfArchitecture(Protocol):
    """A claim about one architecture."""

    @property
    def arch(self) -> str: ...


N = TypeVar("N", bound=Named)


def select(patterns: Sequence[str], claims: Iterable[N], arch: str = "") -> tuple[N, ...]:
    """The claims that any of the patterns selects, in the order of the table; all claims without a pattern.

    A pattern is a claim's whole name, with or without kvm.system_event in front, or a glob, or a part of a name. A
    whole name selects that claim only, even if it is a part of others. With arch, only its claims are selected.
    """
    known = [claim for claim in claims if not arch or claim.name.startswith(f"{arch}.")]
    if not patterns:
        return tuple(known)
    return tuple(claim for claim in known if any(_matches(claim, pattern, known) for pattern in patterns))


def _matches(claim: Named, pattern: str, known: Sequence[Named]) -> bool:
    short = pattern.removeprefix(f"{PREFIX}.")
    if any(other.name == short for other in known):
        return claim.name == short
    if any(sign in short for sign in "*?["):
        return fnmatch.fnmatchcase(claim.name, short)
    return short in claim.name


def architecture_of(chosen: Iterable[OfArchitecture], patterns: Sequence[str]) -> str:
    """The architecture that all of the chosen claims are about; UsageError if they are about none or several."""
    found = sorted({claim.arch for claim in chosen})
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"--test {' '.join(patterns)} selects no claim")
    raise UsageError(f"the selected claims are about {', '.join(found)}: choose one with --arch")
