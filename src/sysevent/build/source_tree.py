"""What a kernel's source tree says of itself."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from pathlib import Path

_PART = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=[ \t]*(\S*)$", re.MULTILINE)
# Hexadecimal digits of a commit, and of the hash of uncommitted changes. UTS_VERSION has 64 bytes for all (UTS_LEN).
_COMMIT, _CHANGES = 12, 8
# Seconds for git to look at a tree; bytes of a difference that are hashed.
_DEADLINE = 120
_DIFFERENCE_MAX = 64 << 20
NO_COMMIT = "no-commit"


def version(tree: Path) -> str:
    """The version in the top Makefile, as `uname -r` will begin: 6.12.107, 6.13.0-rc1; "" when it has none."""
    found = dict(_PART.findall((tree / "Makefile").read_text(encoding="utf-8", errors="replace")))
    if "VERSION" not in found:
        return ""
    numbers = (found["VERSION"], found.get("PATCHLEVEL", "0"), found.get("SUBLEVEL", "0"))
    return f"{'.'.join(numbers)}{found.get('EXTRAVERSION', '')}"


def revision(tree: Path) -> str:
    """Return what is checked out: 12 digits of the commit, and behind them 8 of the hash of uncommitted changes.

    `no-commit` for a tree that is not a repository of its own, such as an unpacked archive. Changes that git cannot
    tell within two minutes, or that are larger than 64 MiB, are `-changed` without a hash. Files that git does not know
    are not part of it.
    """
    top = _git(tree, "rev-parse", "--show-toplevel", "HEAD").decode("utf-8", "replace").splitlines()
    # A tree below another repository has that one's commit.
    if len(top) != 2 or Path(top[0]).resolve() != tree.resolve():
        return NO_COMMIT
    changes = _changes(tree)
    return f"{top[1][:_COMMIT]}{f'-{changes}' if changes else ''}"


def _changes(tree: Path) -> str:
    """Return a name for the uncommitted changes of a tree; "" if there are none."""
    command = [
        "git",
        "-C",
        str(tree),
        "diff",
        "--no-ext-diff",
        "--no-color",
        "--binary",
        "--full-index",
        "HEAD",
    ]
    total, size, end = hashlib.sha256(), 0, time.monotonic() + _DEADLINE
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_env()
        ) as process:
            assert process.stdout is not None
            while piece := process.stdout.read(1 << 16):
                total.update(piece)
                size += len(piece)
                if size > _DIFFERENCE_MAX or time.monotonic() > end:
                    process.kill()
                    return "changed"
    except OSError:
        return "changed"
    if process.returncode:
        return "changed"
    return total.hexdigest()[:_CHANGES] if size else ""


def _git(tree: Path, *words: str) -> bytes:
    """Return the output of git in a tree; b"" if it fails."""
    try:
        return subprocess.run(
            ["git", "-C", str(tree), *words],
            capture_output=True,
            timeout=_DEADLINE,
            check=True,
            env=_env(),
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


def _env() -> dict[str, str]:
    # Of a caller that runs inside another repository's hook, or wants its own diff.
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {"LC_ALL": "C"}
