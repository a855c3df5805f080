"""Fragments of kernel configuration: the lines that are requested, and those that a .config does not have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.checkout import IMAGES
from sysevent.errors import UsageError

KCONFIG = IMAGES / "kconfig"
# What a kernel needs besides to record which code it executes.
COVERAGE = KCONFIG / "coverage.config"
_LINE = re.compile(
    r"(?P<text>(?P<symbol>CONFIG_\w+)=\S+|# (?P<unset>CONFIG_\w+) is not set)\s*(?:#\s*(?P<words>.*))?"
)


class ConfigLine(msgspec.Struct, frozen=True):
    """One line of a fragment."""

    # "CONFIG_KVM"
    symbol: str
    # As it must be in .config.
    text: str
    # True: a .config without it is accepted.
    optional: bool = False
    # True: it is only requested if without it a line that is not optional was not honoured.
    fallback: bool = False


def requested_lines(arch: Architecture, more: Sequence[Path] = ()) -> tuple[ConfigLine, ...]:
    """Return the lines for kernels of an architecture: from images/kconfig, and from the user's fragments, which win.

    UsageError when a fragment cannot be read or has an invalid line.
    """
    files = (KCONFIG / "common.config", KCONFIG / f"{arch.name}.config", *more)
    found: dict[str, ConfigLine] = {}
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the kernel configuration {path} cannot be read: {error}") from error
        found.update((line.symbol, line) for line in parse(text, str(path)))
    return tuple(found.values())


def parse(text: str, origin: str) -> tuple[ConfigLine, ...]:
    """Return the lines of a fragment; UsageError, with origin and line number, for an invalid one."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match:
            words = (match["words"] or "").split(";")[0].split()
            symbol = match["symbol"] or match["unset"]
            found.append(ConfigLine(symbol, match["text"], "optional" in words[:1], "fallback" in words[:1]))
        elif line.strip() and not line.startswith("#"):
            raise UsageError(f"{origin}, line {number}: not a line of kernel configuration: {line.strip()}")
    return tuple(found)


def render(wanted: Iterable[ConfigLine]) -> str:
    """Return the text of a file for KCONFIG_ALLCONFIG, which does not allow comments after a symbol."""
    return "".join(f"{line.text}\n" for line in wanted)


def unmet(wanted: Iterable[ConfigLine], dotconfig: str) -> tuple[ConfigLine, ...]:
    """Return the lines that a .config does not have as requested. A symbol that it does not mention is not set."""
    lines = set(dotconfig.splitlines())
    symbols = {match[0] for line in lines if (match := re.search(r"CONFIG_\w+", line))}

    def honoured(line: ConfigLine) -> bool:
        return line.text in lines or (line.text.startswith("#") and line.symbol not in symbols)

    return tuple(line for line in wanted if not honoured(line))
