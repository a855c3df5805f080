"""Paths in which make builds a kernel: with no character that make, or the shell that it starts, takes as its own."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sysevent.errors import UsageError

# The top Makefile refuses blanks and colons; with each of the others its rules fail later, in words that do not name
# the path. Measured with 6.12.117 and GNU Make 4.3, each as a part of the tree's path and of the output directory's.
_TAKEN = re.compile(r"""[\s:'"`#$%&()*;<>?\[\]\\{|}]""")


def require(path: Path, named: str) -> Path:
    """Return the path if make can work in it; UsageError, which begins with named, if not."""
    if found := _TAKEN.search(str(path)):
        raise UsageError(f"{named}: make cannot work in a path with {found[0]!r}; use one without")
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
