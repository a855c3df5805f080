"""A private copy of a kernel tree, in which one file at a time is mutated."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

# Of a git repository: 2 GB that no build needs, and that would put the state of git into the release.
_LEFT_OUT = frozenset((".git",))

# Size and time of last change of a file of the user's tree, in nanoseconds, by its path in the tree.
_Manifest = dict[str, tuple[int, int]]


class TreeCopy:
    """A copy of a tree. A link to the user's files would show their later edits to the build of a mutant."""

    def __init__(self, path: Path, originals: Mapping[str, bytes]) -> None:
        """originals: the text of the files that are mutated, by their path in the tree."""
        self.path = path
        self._originals = originals
        for file, text in originals.items():
            # An interrupted run has left a mutant.
            if (path / file).read_bytes() != text:
                self._write(file, text)
        # The file that is mutated now; "" if none is.
        self._mutated = ""

    @classmethod
    def make(cls, tree: Path, path: Path, originals: Mapping[str, bytes]) -> TreeCopy:
        """Copy a tree to a path, or bring an older copy there up to date. OSError if that fails.

        Every file that differs from the older copy is new, whatever its time in the tree: make compares times.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        listed = path.with_name(f"{path.name}.json")
        before = _read(listed)
        if before is None or not path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            before = {}
        # What is copied below is in no list until all of it is.
        listed.unlink(missing_ok=True)
        now = {name: (found.st_size, found.st_mtime_ns) for name, found in _files(tree)}
        for name in before.keys() - now.keys():
            (path / name).unlink(missing_ok=True)
        for name, state in now.items():
            if before.get(name) != state:
                _copy(tree / name, path / name)
        listed.write_bytes(msgspec.json.encode(now))
        return cls(path, originals)

    def mutate(self, file: str, text: bytes) -> None:
        """Give a file another text, and its own text to the one that was mutated before."""
        self.restore()
        self._mutated = file
        self._write(file, text)

    def restore(self) -> None:
        """Give the mutated file its own text again."""
        if self._mutated:
            self._write(self._mutated, self._originals[self._mutated])
            self._mutated = ""

    def _write(self, file: str, text: bytes) -> None:
        path = self.path / file
        new = path.with_name(f"{path.name}.sysevent")
        new.write_bytes(text)
        new.replace(path)


def _read(path: Path) -> _Manifest | None:
    """The list of an earlier copy; None if it was not completed."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _files(root: Path, folder: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """The files and symbolic links below a directory, by their path in it."""
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name in _LEFT_OUT:
                continue
            name = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files(root, f"{name}/")
            elif entry.is_symlink() or entry.is_file():
                yield name, entry.stat(follow_symlinks=False)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, or a symbolic link as such, with its mode and the time of now."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        # A directory of the older copy, empty by now.
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IWUSR)
