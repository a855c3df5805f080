"""The names of kernel tracks alone. Needs the standard library alone: the launcher checks a --kernel with it.

tracks.py reads what the tracks are.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path

from sysevent.checkout import IMAGES
from sysevent.errors import BadTargetFile, UsageError
from sysevent.nearest import hint

TRACKS_FILE = IMAGES / "tracks.toml"
PREFIX = "debian:"


@functools.cache
def load(path: Path = TRACKS_FILE) -> tuple[str, ...]:
    """Return the tracks as --kernel names them, in the order of the file; BadTargetFile if it cannot be read."""
    # Here: its import takes longer than parsing a command line.
    import tomllib

    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["track"]
        return tuple(f"{PREFIX}{row['name']}" for row in rows)
    except OSError as error:
        raise BadTargetFile(f"cannot read the kernel tracks in {path}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise BadTargetFile(f"{path}: {error!r}") from None


def require(spec: str) -> None:
    """Raise UsageError unless a track is called as spec says, such as debian:6.12."""
    name = spec.removeprefix(PREFIX)
    # What looks like the name is enough to let it pass, and saves the import of a parser.
    with contextlib.suppress(OSError, ValueError):
        if f'\nname = "{name}"\n' in TRACKS_FILE.read_text(encoding="utf-8"):
            return
    if spec not in load():
        raise unknown(name, load())


def unknown(name: str, known: Sequence[str]) -> UsageError:
    """Return the error for a name that no track has, with the nearest one.

    known: the tracks, as --kernel names them.
    """
    spec = f"{PREFIX}{name}"
    return UsageError(
        f"no kernel track is called {spec}{nearest(spec, known)}; expected one of {', '.join(known)}"
    )


def nearest(word: str, known: Sequence[str]) -> str:
    """Return ", did you mean debian:6.12?" for a word that resembles a track, with or without debian:; "" otherwise.

    known: the tracks, as --kernel names them.
    """
    exact = f"{PREFIX}{word}"
    if exact in known:
        return f", did you mean {exact}?"
    return hint(exact if word[:1].isdigit() else word, known)
