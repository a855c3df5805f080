"""Reads lists of mirrors: apt-transport-mirror(1), with the URIs mirror+file:, mirror: and mirror+https:."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from sysevent.errors import ImageError
from sysevent.images.debian import apt

# What a mirror may be reached by. apt also follows other lists from a list.
_USABLE = ("http", "https", "file", "copy")
_PRIORITY = re.compile(r"priority:(\d{1,9})")
# Of a mirror without a priority: apt tries it last.
_LAST = 10**9


def is_list(uri: str) -> bool:
    """Return whether a URI of apt names a list of mirrors, and no mirror."""
    return uri.partition(":")[0].partition("+")[0] == "mirror"


def first(uri: str, etc: Path, fetch: Callable[[str], str]) -> str:
    """Return the base URI of the mirror that a list prefers, without a slash at its end.

    etc: the directory of apt's configuration, which a list below /etc/apt is read from. fetch returns the text at a
    URL. ImageError when the list cannot be read or has no usable line.
    """
    # mirror: is the older name of mirror+http:.
    scheme = uri.partition(":")[0].removeprefix("mirror").removeprefix("+") or "http"
    rest = uri.partition(":")[2]
    if scheme in ("file", "copy"):
        text = _read(Path(unquote("/" + rest.lstrip("/"))), etc)
    elif scheme in ("http", "https"):
        text = fetch(f"{scheme}:{rest}")
    else:
        raise ImageError(f"apt's list of mirrors {uri} cannot be fetched over {scheme}: give --mirror URL")
    usable = parse(text)
    if not usable:
        raise ImageError(
            f"apt's list of mirrors {uri} has no line with a mirror for everything that can be fetched over "
            f"{', '.join(_USABLE)}: give --mirror URL or SYSEVENT_MIRROR"
        )
    return usable[0]


def parse(text: str) -> tuple[str, ...]:
    """Return the base URIs of a list that can be used, the preferred ones first.

    A line that is only for some files (`type:`, `arch:`, `suite:`) is left out.
    """
    found: list[tuple[int, str]] = []
    for line in text.splitlines():
        uri, *options = line.split() or ["#"]
        if uri.startswith("#") or uri.partition(":")[0] not in _USABLE:
            continue
        priorities = [_PRIORITY.fullmatch(option) for option in options]
        if all(priorities):
            rank = min((int(match[1]) for match in priorities if match), default=_LAST)
            found.append((rank, uri.rstrip("/")))
    # The sort is stable: of equal ones the first.
    return tuple(uri for _, uri in sorted(found, key=lambda one: one[0]))


def _read(path: Path, etc: Path) -> str:
    if path.is_relative_to(apt.ETC):
        path = etc / path.relative_to(apt.ETC)
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ImageError(f"apt's list of mirrors {path} cannot be read: {error.strerror}") from None
