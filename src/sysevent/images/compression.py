"""Compressions that Python 3.11 lacks."""

from __future__ import annotations

import shutil
import subprocess

from sysevent.errors import ImageError, ToolMissing


def unzstd(data: bytes, name: str) -> bytes:
    """Decompress data with the zstd program; name is for messages.

    Python's standard library has zstd only since 3.14, and few of Debian's packages and modules use it.
    ToolMissing when the program is not installed, ImageError when the data is damaged.
    """
    program = shutil.which("zstd")
    if program is None:
        raise ToolMissing(
            f"{name} is compressed with zstd, and no zstd program is installed: apt install zstd"
        )
    run = subprocess.run([program, "-dcq"], input=data, capture_output=True, check=False)
    if run.returncode != 0:
        reason = run.stderr.decode("utf-8", "replace").strip().split("\n", 1)[0]
        raise ImageError(f"{name} is damaged or truncated: its zstd data does not decompress: {reason}")
    return run.stdout
