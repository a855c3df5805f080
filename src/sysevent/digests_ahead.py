"""Hashes that are begun before they are needed: of those large files that an equal run needed before.

By their content 200 MB of kernels and QEMUs are identified in each run. Meanwhile, Python loads pytest, which takes as
long, and a hash needs no interpreter. What a file is identified by stays the hash that this process has computed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sysevent.cache import Cache
from sysevent.digests import digest_once, large_files
from sysevent.errors import ImageError

# Files that are remembered. A run of three guests has eight.
_MOST = 64


class _Files(msgspec.Struct, frozen=True):
    """A file in the cache: the paths of files."""

    paths: tuple[str, ...]


class Ahead:
    """The files that runs with the same arguments hash."""

    def __init__(self, cache: Cache, words: Sequence[str]) -> None:
        """words: what selects the files, such as targets and kernels."""
        self._cache = cache
        self._note = cache.ahead(words)
        self._known = cache.read(self._note, _Files) or _Files(())

    def begin(self) -> None:
        """Hash in a thread what was remembered. A file that is missing by now is left out."""
        if self._known.paths:
            threading.Thread(target=self._hash, name="hash", daemon=True).start()

    def _hash(self) -> None:
        for path in self._known.paths:
            with contextlib.suppress(ImageError):
                digest_once(Path(path))

    def remember(self) -> None:
        """Remember the large files that this process has hashed, for the next run."""
        found = _Files(tuple(large_files()[:_MOST]))
        # In the order of the first run: what differs is only which of two threads was faster.
        if set(found.paths) != set(self._known.paths):
            self._cache.record(self._note, found)
