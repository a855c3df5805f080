"""What a bisection searches for and how, complete enough to resume it later."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from sysevent import options
from sysevent.arches import NATIVE

Kind = Literal["build", "layout", "packages"]


class Question(msgspec.Struct, frozen=True):
    """The command line of a bisection, with revisions and paths resolved, so that its meaning stays the same."""

    kind: Kind
    # The path of the kernel tree, or "debian".
    source: str
    arch: str
    # A commit's hash, or a package's version.
    good: str
    bad: str
    # The two as the user wrote them.
    good_named: str
    bad_named: str
    # Patterns, as selection.select takes them.
    tests: tuple[str, ...] = ()
    abi: str = NATIVE
    target: str = ""
    # Paths of target files.
    targets: tuple[str, ...] = ()
    boot_failure_is_bad: bool = False
    # --strict-observed, and --strict-errata.
    strict: bool = False
    strict_errata: bool = False
    floor: str = ""
    # Paths of files with more kernel configuration.
    fragments: tuple[str, ...] = ()
    # Boots of each kernel.
    boots: int = options.DEFAULT_BOOTS
    # Of sysevent.
    version: str = ""

    @property
    def key(self) -> str:
        """12 hex digits that are the same for the same command line, which therefore resumes its own bisection."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]

    @property
    def command(self) -> str:
        """The command line that searches again, with the revisions resolved."""
        return shlex.join(["sysevent", "bisect", *self._ends, *self.options()])

    def options(self) -> list[str]:
        """The options that a single step takes as well, as words of a command line."""
        given = {
            "arch": self.arch,
            "test": self.tests,
            "targets": self.targets,
            "config": self.fragments,
            "target": self.target,
            "floor": self.floor,
            "abi": self.abi,
            "layout": self.kind == "layout",
            "boot_failure": "bad" if self.boot_failure_is_bad else "skip",
            "strict_observed": self.strict,
            "strict_errata": self.strict_errata,
            "boots": self.boots,
        }
        return _words(given)

    @property
    def _ends(self) -> list[str]:
        source = "packages" if self.kind == "packages" else "tree"
        return _words({source: self.source, "good": self.good, "bad": self.bad})


def _words(values: Mapping[str, Any]) -> list[str]:
    """Options of `bisect` as words of a command line, in the order of values, which has them by Option.name.

    What is empty, False or the default is left out. The value of a mode, which has choices and a default, is written
    --flag=value; any other one is a word of its own.
    """
    rows = {option.name: option for option in options.of("bisect")}
    words: list[str] = []
    for name, given in values.items():
        option = rows[name]
        default = option.uses["bisect"].default or option.default
        if given is False or given in ("", default):
            continue
        for value in given if isinstance(given, tuple) else [given]:
            if option.kind == "flag":
                words.append(option.flag)
            elif option.choices and default is not None:
                words.append(f"{option.flag}={value}")
            else:
                words += [option.flag, str(value)]
    return words
