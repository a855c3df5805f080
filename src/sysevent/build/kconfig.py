"""Fragments of kernel configuration: what is asked for, and what a tree made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.checkout import IMAGES
from sysevent.errors import UsageError

KCONFIG = IMAGES / "kconfig"
_LINE = re.compile(
    r"(?P<text>(?P<symbol>CONFIG_\w+)=\S+|# (?P<unset>CONFIG_\w+) is not set)\s*(?:#\s*(?P<words>.*))?"
)


class Wish(msgspec.Struct, frozen=True):
    """One line of a fragment."""

    symbol: str  # CONFIG_KVM
    text: str  # as it must stand in .config
    optional: bool = False  # a tree may refuse it
    fallback: bool = False  # only when something needed was refused without it


def wishes(arch: Architecture, more: Sequence[Path] = ()) -> tuple[Wish, ...]:
    """What kernels of an architecture are configured with: ours, then the user's fragments, which win."""
    files = (KCONFIG / "common.config", KCONFIG / f"{arch.name}.config", *more)
    found: dict[str, Wish] = {}
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the kernel configuration {path} cannot be read: {error}") from error
        found.update((wish.symbol, wish) for wish in parse(text, str(path)))
    return tuple(found.values())


def parse(text: str, origin: str) -> tuple[Wish, ...]:
    """The lines of a fragment; UsageError names one that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match:
            words = (match["words"] or "").split(";")[0].split()
            symbol = match["symbol"] or match["unset"]
            found.append(Wish(symbol, match["text"], "optional" in words[:1], "fallback" in words[:1]))
        elif line.strip() and not line.startswith("#"):
            raise UsageError(f"{origin}, line {number}: not a line of kernel configuration: {line.strip()}")
    return tuple(found)


def render(wanted: Iterable[Wish]) -> str:
    """A file for KCONFIG_ALLCONFIG, which takes no comments behind a symbol."""
    return "".join(f"{wish.text}\n" for wish in wanted)


def refused(wanted: Iterable[Wish], dotconfig: str) -> tuple[Wish, ...]:
    """What does not stand in a .config as it was asked for. A symbol that is not there is not set."""
    lines = set(dotconfig.splitlines())
    symbols = {match[0] for line in lines if (match := re.search(r"CONFIG_\w+", line))}

    def honoured(wish: Wish) -> bool:
        return wish.text in lines or (wish.text.startswith("#") and wish.symbol not in symbols)

    return tuple(wish for wish in wanted if not honoured(wish))
