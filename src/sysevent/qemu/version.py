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
    match = re.search(r"version (\S+)", output)
    return match[1] if match else ""
