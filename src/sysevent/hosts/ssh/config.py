"""~/.ssh/config with its included files: paramiko ignores Include (ssh_config(5))."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

# The limit of nested includes in OpenSSH's readconf.c.
_DEPTH = 16
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*")
_EVERYTHING = "Host *"


def read(home: Path) -> str:
    """The text of ~/.ssh/config with every Include replaced by the files that it names; "" when there is none.

    Raises ValueError for sections that are included below another section: in one text they would also apply where the
    outer section does not. OSError and UnicodeDecodeError when a file cannot be read.
    """
    path = home / ".ssh" / "config"
    return _read_file(path, home, _EVERYTHING, _DEPTH) if path.exists() else ""


def _read_file(path: Path, home: Path, section: str, depth: int) -> str:
    if depth == 0:
        raise ValueError(f"{path} is included {_DEPTH} levels deep, or includes itself")
    outer, lines = section, []
    for line in path.read_text().splitlines():
        words = _LINE.fullmatch(line)
        keyword = words[1].lower() if words else ""
        if keyword in ("host", "match"):
            if outer != _EVERYTHING:
                raise ValueError(
                    f"{path} contains sections and is included below {outer!r}, which is not supported: "
                    "move the Include above the first Host"
                )
            section = line
        if words is None or keyword != "include":
            lines.append(line)
            continue
        for name in _included(words[2], home):
            # The section around the Include continues after it.
            lines += [_read_file(name, home, section, depth - 1), section]
    return "\n".join(lines)


def _included(names: str, home: Path) -> list[Path]:
    """The files that an Include names. Like ssh, it ignores those that do not exist."""
    patterns = [
        name.replace("~", str(home), 1) if name.startswith("~/") else name for name in shlex.split(names)
    ]
    return [
        Path(name)
        for pattern in patterns
        # Not Path.glob(), which takes no absolute pattern.
        for name in sorted(glob.glob(str(home / ".ssh" / pattern)))  # noqa: PTH207
        if Path(name).is_file()
    ]
