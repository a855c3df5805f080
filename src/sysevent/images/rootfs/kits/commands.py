"""Runs programs that build a VMM, in a folder that is deleted afterwards."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sysevent.errors import BuildFailed
from sysevent.process import die_with_parent
from sysevent.text import last_lines

# Seconds for one build; zig compiles a C library first, which took over 900 s on a machine with 20 times more work than
# CPUs.
_DEADLINE = 3600
# Lines of the output of one that failed.
_LINES = 12


def build(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], what: str, program: Path
) -> bytes:
    """Run a command in a folder, and return the program that it makes.

    BuildFailed, with what it printed last, if it fails, does not end in time, or makes no such file.

    All that it started is ended with it. what names the work, for messages.
    """
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                die_with_parent(words),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            raise BuildFailed(f"{what}: {words[0]} cannot be started: {error.strerror}") from None
        try:
            process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"{what}: `{shlex.join(words[:3])}` did not end within {_DEADLINE} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0, os.SEEK_END)
        said.seek(max(0, said.tell() - (1 << 16)))
        output = said.read().decode("utf-8", "replace")
    lines = "\n  ".join(last_lines(output, _LINES))
    if process.returncode:
        raise BuildFailed(f"{what}: `{shlex.join(words[:3])}` failed with {process.returncode}:\n  {lines}")
    try:
        return program.read_bytes()
    except OSError as error:
        raise BuildFailed(
            f"{what}: `{shlex.join(words[:3])}` has not made {program.name} ({error.strerror}):\n  {lines}"
        ) from None


def output(words: Sequence[str], seconds: float = 30) -> str:
    """Return what a command prints; "" if it is not installed, fails or does not end in time."""
    try:
        ran = subprocess.run(
            die_with_parent(words),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if ran.returncode else ran.stdout
