"""A private copy of a kernel tree, in which one file at a time is mutated."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sysevent.errors import UsageError

# Of a git repository; 2 GB that no build needs, and that would put the state of git into the release.
_LEFT_OUT = (".git",)


class TreeCopy:
    """A copy of a tree: hard links to its files, where that is possible, and own files where mutants are.

    Nothing is written through a link: a file is replaced, and what make writes goes to its build directory.
    """

    def __init__(self, path: Path, originals: Mapping[str, bytes]) -> None:
        """originals: the text of the files that are mutated, by their path in the tree."""
        self.path = path
        self._originals = originals
        # The file that is mutated now; "" if none is.
        self._mutated = ""

    @classmethod
    def make(cls, tree: Path, path: Path, originals: Mapping[str, bytes]) -> TreeCopy:
        """Copy a tree to a path, in the place of an older copy. OSError if that fails."""
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(
            tree,
            path,
            symlinks=True,
            ignore=lambda folder, _names: _LEFT_OUT if Path(folder) == tree else (),
            copy_function=_link,
        )
        copy = cls(path, originals)
        for file in originals:
            # An earlier run may have compiled a mutant: make compares times, so these files are new.
            copy._write(file, originals[file])
        return copy

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


def _link(source: str, target: str) -> None:
    """Link a file to another path, or copy it if they are on different file systems."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def check(tree: Path) -> Path:
    """Return the absolute path of a kernel tree; UsageError if it is none, or was built in place."""
    found = tree.expanduser().resolve()
    if not (found / "Kbuild").is_file() or not (found / "arch").is_dir():
        raise UsageError(f"--tree {tree}: not a kernel tree")
    if (found / ".config").exists() or (found / "include" / "config").is_dir():
        raise UsageError(
            f"--tree {tree} was built in place, so make refuses to build elsewhere: run make mrproper there"
        )
    return found
