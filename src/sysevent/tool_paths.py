"""Paths in which other programs cannot work: make, the shell that it starts, and zig take a character as their own."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sysevent.errors import UsageError

# The kernel's top Makefile refuses blanks and colons; with each of the others in the tree's path its rules fail
# later, in words that do not name the path (measured with 6.12.117 and GNU Make 4.3; '[' as a part of [1]). With most
# of them in the output directory's path they fail as well. zig 0.17.1 cannot read its own lists of dependencies in a
# path with ':', nor write a program to one with '%'.
_TAKEN = re.compile(r"""[\s:'"`#$%&()*;<>?\[\\|]""")


def taken(path: Path) -> str:
    """Return the first such character of a path, "" if it has none."""
    found = _TAKEN.search(str(path))
    return found[0] if found else ""


def require(path: Path, named: str) -> Path:
    """Return the path if make can work in it; UsageError, which begins with named, if not."""
    if character := taken(path):
        raise UsageError(f"{named}: make cannot work in a path with {character!r}; use one without")
    return path


def require_cache(cache: Path) -> Path:
    """Return the path of the cache if make can work in it; UsageError if not."""
    return require(cache, f"the cache {cache} (SYSEVENT_CACHE)")


def directory(cache: Path, purpose: str, tree: Path, arch: str) -> Path:
    """Return where kernels of a tree are built for an architecture; it bears the tree's name where make allows.

    UsageError if make cannot work in the cache.
    """
    require_cache(cache)
    short = hashlib.sha256(str(tree).encode()).hexdigest()[:12]
    return cache / purpose / f"{_TAKEN.sub('-', tree.name)}-{short}-{arch}"
