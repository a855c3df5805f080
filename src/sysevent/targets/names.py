"""The names of targets alone. Needs the standard library alone: the launcher checks a --target with it.

spec.py reads what the targets are.
"""

from __future__ import annotations

import fnmatch
import importlib.resources
import platform
import re
from collections.abc import Iterable, Sequence

from sysevent import nearest
from sysevent.arches import of_machine
from sysevent.errors import UsageError


def own_arch() -> str:
    """Return our name of this machine's architecture; "" if it is not supported."""
    found = of_machine(platform.machine())
    return found.name if found else ""


def builtin_text() -> bytes:
    """Return the file of the built-in targets; with `local` only if this machine's architecture is supported."""
    text = importlib.resources.files("sysevent.targets").joinpath("builtin.toml").read_bytes()
    return text if own_arch() else text.partition(b"# local")[0]


def builtin() -> list[str]:
    """Return the names of the built-in targets, in the order of their file."""
    # Here: its import takes longer than parsing a command line.
    import tomllib

    return [row["name"] for row in tomllib.loads(builtin_text().decode())["target"]]


def require_builtin(globs: Sequence[str]) -> None:
    """Raise UsageError for a glob of --target that matches no built-in target."""
    # What looks like a name is enough to let a glob pass, and saves the import of a parser.
    likely = re.findall(r'^name = "(.+)"$', builtin_text().decode(), re.MULTILINE)
    if not all(fnmatch.filter(likely, glob) for glob in globs):
        require_matches(globs, builtin())


def require_matches(globs: Iterable[str], names: Sequence[str]) -> None:
    """Raise UsageError for a glob of --target that matches no name."""
    for glob in globs:
        if not any(fnmatch.fnmatchcase(name, glob) for name in names):
            hint = nearest.hint(glob.strip("*?"), names)
            raise UsageError(
                f"--target {glob} matches none of the targets{hint}; they are {', '.join(names)}"
            )
