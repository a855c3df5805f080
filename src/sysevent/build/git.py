"""Runs git in a repository that is given, whatever the caller's environment says about another one."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from sysevent.errors import DiskFull, InfrastructureError, ToolMissing

# Variables that would make git use another repository than that of its working directory, or another way to compare.
_FOREIGN = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIFF_OPTS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
COMMAND = (
    *("git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"),
    # A repository is never searched for: the user has named it.
    *("-c", "safe.bareRepository=all"),
)


class GitFailed(InfrastructureError):
    """git failed; the message holds its output."""


def environment() -> dict[str, str]:
    """Return the environment for git: messages in English, and nothing about the caller's own repository."""
    return {key: value for key, value in os.environ.items() if key not in _FOREIGN} | {"LC_ALL": "C"}


def git(
    folder: Path,
    *words: str,
    accept: tuple[int, ...] = (0,),
    both: bool = False,
    deadline: float | None = None,
) -> str:
    """Return the output of git on stdout, or with both on stdout and stderr. deadline: seconds.

    GitFailed unless its exit code is in accept. Raises ToolMissing if git is not installed, and DiskFull if it has no
    space left.
    """
    try:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=environment(),
            timeout=deadline,
        )
    except FileNotFoundError:
        raise ToolMissing("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise GitFailed(f"git {words[0]} in {folder} did not end within {deadline:.0f} s") from None
    if done.returncode not in accept:
        output = (done.stderr.strip() or done.stdout.strip()).replace("\n", "\n  ")
        if os.strerror(errno.ENOSPC) in output:
            raise DiskFull(f"git {words[0]}: no space left on the disk of {folder}")
        raise GitFailed(f"git {' '.join(words)} in {folder} failed with {done.returncode}:\n  {output}")
    return done.stdout + done.stderr if both else done.stdout
