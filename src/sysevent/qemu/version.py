"""The version of the installed QEMU."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

from sysevent.arches import Architecture


@functools.cache
def version(arch: Architecture) -> str:
    """The version of an architecture's QEMU, such as "7.2.22"; "" when it is not installed or prints none."""
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return ""
    try:
        output = subprocess.run(
            [qemu, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return parsed(output)


def parsed(output: str) -> str:
    """The version in the output of `qemu --version`; "" if there is none."""
    match = re.search(r"version (\S+)", output)
    return match[1] if match else ""


def numbers(text: str) -> tuple[int, ...]:
    """(major, minor, micro) of a version such as "7.2.22", with anything behind it; () if it does not begin so.

    Tuples compare as versions do: 10 is newer than 8.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()
