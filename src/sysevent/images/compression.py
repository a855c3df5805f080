"""Compressions that Python 3.11 lacks."""

from __future__ import annotations

import shutil
import subprocess

from sysevent.errors import ImageError, ToolMissing


def unzstd(data: bytes, name: str) -> bytes:
    """Decompress with the zstd program; ToolMissing when there is none, ImageError when the data is damaged.

    Python has zstd in its own library only from 3.14 on, and among Debian's packages and modules it is rare.
    """
    program = shutil.which("zstd")
    if program is None:
        raise ToolMissing(f"{name} is compressed with zstd, and there is no zstd program: apt install zstd")
    run = subprocess.run([program, "-dcq"], input=data, capture_output=True, check=False)
    if run.returncode != 0:
        reason = run.stderr.decode("utf-8", "replace").strip().split("\n", 1)[0]
        raise ImageError(f"{name} is damaged or cut off: its zstd data does not decompress: {reason}")
    return run.stdout
