"""The files of the cache as units: each file or folder together with its hash, and whether it is as it was stored."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.cache import SEAL, Cache, seal_of
from sysevent.digests import digest

# Folders whose files are named by the hash of their content.
_NAMED_BY_HASH = ("blobs/sha256", "initramfs")
# Folders whose files are sealed, or records. Not here: snapshots (hosts/qemu/snapshots.py), which have their own
# checksums; bisect, where git and make check what they find; parts and locks, which hold no results.
# fmt: off
_SEALED = (
    "kernels", "unwrapped", "vmlinux", "modules", "userland", "build", "suites", "tracks", "published", "headers",
    "layouts", "btf", "nested", "kits", "sources", "peers", "ahead",
)
# fmt: on
CHECKED = (*_NAMED_BY_HASH, *_SEALED)


class Stored(msgspec.Struct, frozen=True):
    """A file or a sealed folder of the cache, with the file that has its hash if there is one."""

    path: Path
    # Of the path itself: when it was used last, in Unix time.
    used: float
    # Bytes, of all files.
    size: int

    def remove(self) -> None:
        """Delete it and its hash; OSError."""
        if self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)
        seal_of(self.path).unlink(missing_ok=True)


def stored(cache: Cache, *folders: str) -> Iterator[Stored]:
    """Yield all that is in these folders of the cache, by name; unfinished files as well, which begin with a dot."""
    for folder in folders:
        yield from _entries(cache.root / folder, sorted((cache.root / folder).glob("*")))


def _entries(folder: Path, paths: list[Path]) -> Iterator[Stored]:
    for path in paths:
        # A directory in parts is a process's temporary one.
        if path.is_dir() and not seal_of(path).exists() and folder.name != "parts":
            yield from _entries(path, sorted(path.glob("*")))
        # The hash of a file is part of the file's entry.
        elif path.suffix != SEAL or path.with_suffix("") not in paths:
            files = [path, seal_of(path), *(path.rglob("*") if path.is_dir() else ())]
            # Another process may delete it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                size = sum(file.stat().st_size for file in files if file.is_file())
                yield Stored(path, path.stat().st_mtime, size)


def is_intact(one: Stored, cache: Cache) -> bool:
    """Return whether a file of one of the folders CHECKED is as it was stored, whichever way it was stored."""
    if one.path.parent.relative_to(cache.root).as_posix() in _NAMED_BY_HASH:
        return digest(one.path) == one.path.stem
    if seal_of(one.path).exists():
        return cache.is_intact(one.path)
    # Others are of earlier versions: without a hash they count as absent.
    return one.path.suffix != ".json" or cache.is_record(one.path)


def is_unfinished(one: Stored) -> bool:
    """Return whether it is a file that a process is writing, or was writing when it ended."""
    return one.path.name.startswith(".")
