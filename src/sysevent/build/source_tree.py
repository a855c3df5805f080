"""What a kernel's source tree says of itself."""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=[ \t]*(\S*)$", re.MULTILINE)


def version(tree: Path) -> str:
    """The version in the top Makefile, as `uname -r` will begin: 6.12.107, 6.13.0-rc1; "" when it has none."""
    found = dict(_PART.findall((tree / "Makefile").read_text(encoding="utf-8", errors="replace")))
    if "VERSION" not in found:
        return ""
    numbers = (found["VERSION"], found.get("PATCHLEVEL", "0"), found.get("SUBLEVEL", "0"))
    return f"{'.'.join(numbers)}{found.get('EXTRAVERSION', '')}"
