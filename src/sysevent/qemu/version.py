"""Which QEMU this is."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

from sysevent.arches import Architecture


@functools.cache
def version(arch: Architecture) -> str:
    """The version of an architecture's QEMU, "7.2.22"; empty when there is none or it does not say."""
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return ""
    try:
        said = subprocess.run(
            [qemu, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"version (\S+)", said)
    return found[1] if found else ""
