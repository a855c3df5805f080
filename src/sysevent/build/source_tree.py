"""What a kernel's source tree says of itself."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from sysevent.build.git import COMMAND, environment, git
from sysevent.errors import InfrastructureError, UsageError

_PART = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=[ \t]*(\S*)$", re.MULTILINE)
# Hexadecimal digits of a commit, and of the hash of uncommitted changes. UTS_VERSION has 64 bytes for all (UTS_LEN).
_COMMIT, _CHANGES = 12, 8
# Seconds for git to look at a tree; bytes of a difference that are hashed.
_DEADLINE = 120
_DIFFERENCE_MAX = 64 << 20
NO_COMMIT = "no-commit"
# How a difference names a file as it is now. A line that was added can look the same.
_NEW_FILE = b"+++ b/"
# What is at the top of the source of a kernel. The output directory of a build has no Kbuild there.
MARKS = ("Kbuild", "Makefile", "arch")


def version(tree: Path) -> str:
    """The version in the top Makefile, as `uname -r` will begin: 6.12.107, 6.13.0-rc1; "" when it has none."""
    found = dict(_PART.findall((tree / "Makefile").read_text(encoding="utf-8", errors="replace")))
    if "VERSION" not in found:
        return ""
    numbers = (found["VERSION"], found.get("PATCHLEVEL", "0"), found.get("SUBLEVEL", "0"))
    return f"{'.'.join(numbers)}{found.get('EXTRAVERSION', '')}"


def require(directory: Path, named: str) -> Path:
    """Return the absolute path of a kernel tree that make can build elsewhere (O=).

    UsageError, which begins with what the user wrote, if it is none, or if it was built in place: make refuses it then
    (the rule outputmakefile of the top Makefile), and nothing here writes to a user's tree.
    """
    tree = directory.expanduser().resolve()
    if not tree.is_dir():
        raise UsageError(f"{named}: {'not a directory' if tree.exists() else 'no such directory'}")
    if not is_kernel_tree(tree):
        raise UsageError(f"{named}: not a kernel tree")
    if (tree / ".config").exists() or (tree / "include" / "config").is_dir():
        raise UsageError(
            f"{named} was built in place, so make refuses to build elsewhere: run make mrproper there, or give "
            f"the kernel that is built there as --kernel tree:{tree}"
        )
    return tree


def is_kernel_tree(directory: Path) -> bool:
    """Return whether a directory has the source of a kernel; the output directory of a build (O=) has not."""
    return all((directory / name).exists() for name in MARKS)


def changed_files(tree: Path) -> tuple[str, ...]:
    """Return the paths of uncommitted changes in a tree; none if it is not a repository of its own."""
    if not _commit(tree):
        return ()
    names = _git(tree, "diff", "--name-only", "--no-renames", "-z", "HEAD")
    return tuple(name for name in names.split("\0") if name)


class State(NamedTuple):
    """What is in a tree. With the standard library only, as all here: the launcher imports it without a .venv."""

    # As revision() returns it.
    revision: str
    # At least the files with uncommitted changes, relative to the tree, as far as git tells them; not deleted ones.
    edited: tuple[str, ...] = ()


def revision(tree: Path) -> str:
    """Return what is checked out: 12 digits of the commit, and behind them 8 of the hash of uncommitted changes.

    `no-commit` for a tree that is not a repository of its own, such as an unpacked archive. Changes that git cannot
    tell within two minutes, or that are larger than 64 MiB, are `-changed` without a hash. Files that git does not know
    are not part of it.
    """
    return state(tree).revision


def state(tree: Path) -> State:
    """Return what is checked out, and which files have uncommitted changes, from one difference."""
    commit = _commit(tree)
    if not commit:
        return State(NO_COMMIT)
    changes, edited = _changes(tree)
    return State(f"{commit[:_COMMIT]}{f'-{changes}' if changes else ''}", edited)


def _commit(tree: Path) -> str:
    """Return the hash of the commit that is checked out; "" for a tree that is not a repository of its own."""
    top = _git(tree, "rev-parse", "--show-toplevel", "HEAD").splitlines()
    # A tree below another repository has that one's commit.
    return top[1] if len(top) == 2 and Path(top[0]).resolve() == tree.resolve() else ""


def _changes(tree: Path) -> tuple[str, tuple[str, ...]]:
    """Return a name for the uncommitted changes of a tree, "" if there are none, and the files that have them."""
    command = [*COMMAND, "diff", "--no-ext-diff", "--no-color", "--binary", "--full-index", "HEAD"]
    total, size, end = hashlib.sha256(), 0, time.monotonic() + _DEADLINE
    edited: list[str] = []
    try:
        with subprocess.Popen(
            command,
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        ) as process:
            assert process.stdout is not None
            while piece := process.stdout.readline(1 << 16):
                total.update(piece)
                size += len(piece)
                if piece.startswith(_NEW_FILE):
                    edited.append(os.fsdecode(piece.removeprefix(_NEW_FILE).rstrip(b"\t\n")))
                if size > _DIFFERENCE_MAX or time.monotonic() > end:
                    process.kill()
                    return "changed", ()
    except OSError:
        return "changed", ()
    if process.returncode:
        return "changed", ()
    return (total.hexdigest()[:_CHANGES] if size else ""), tuple(edited)


def _git(tree: Path, *words: str) -> str:
    """Return the output of git in a tree; "" if it fails."""
    try:
        return git(tree, *words, deadline=_DEADLINE)
    except (OSError, InfrastructureError):
        return ""
