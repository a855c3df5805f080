"""~/.ssh/config as one text: paramiko leaves out what is included (ssh_config(5), Include)."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

_DEPTH = 16  # as in OpenSSH's readconf.c
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*")
_EVERYTHING = "Host *"


def text(home: Path) -> str:
    """With every Include replaced by the files that it names; "" without a configuration.

    ValueError for what cannot be said in one text: a section that is included below another one would hold where the
    other one does not.
    """
    path = home / ".ssh" / "config"
    return _read(path, home, _EVERYTHING, _DEPTH) if path.exists() else ""


def _read(path: Path, home: Path, section: str, depth: int) -> str:
    if depth == 0:
        raise ValueError(f"{path} is included {_DEPTH} deep, or includes itself")
    outer, found = section, []
    for line in path.read_text().splitlines():
        words = _LINE.fullmatch(line)
        keyword = words[1].lower() if words else ""
        if keyword in ("host", "match"):
            if outer != _EVERYTHING:
                raise ValueError(
                    f"{path} has sections of its own and is included below {outer!r}, which is not understood: "
                    "move the Include above the first Host"
                )
            section = line
        if words is None or keyword != "include":
            found.append(line)
            continue
        for name in _files(words[2], home):
            found += [_read(name, home, section, depth - 1), section]  # which goes on behind it
    return "\n".join(found)


def _files(names: str, home: Path) -> list[Path]:
    """What an Include names; that which is not there is nothing, as for ssh."""
    patterns = [
        name.replace("~", str(home), 1) if name.startswith("~/") else name for name in shlex.split(names)
    ]
    return [
        Path(found)
        for pattern in patterns
        for found in sorted(glob.glob(str(home / ".ssh" / pattern)))  # noqa: PTH207 - Path's takes no absolute ones
        if Path(found).is_file()
    ]
