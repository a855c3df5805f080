"""What a bisection searches for and how, complete enough to resume it later."""

from __future__ import annotations

import hashlib
import shlex
from typing import Literal

import msgspec

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
    strict: bool = False
    floor: str = ""
    # Paths of files with more kernel configuration.
    fragments: tuple[str, ...] = ()
    # Boots of each kernel.
    boots: int = 2
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
        words = ["--arch", self.arch]
        for option, values in (
            ("--test", self.tests),
            ("--targets", self.targets),
            ("--config", self.fragments),
        ):
            for value in values:
                words += [option, value]
        for option, value in (("--target", self.target), ("--floor", self.floor)):
            words += [option, value] if value else []
        if self.abi != "native":
            words += ["--abi", self.abi]
        if self.kind == "layout":
            words.append("--layout")
        if self.boot_failure_is_bad:
            words.append("--boot-failure=bad")
        if self.strict:
            words.append("--strict-observed")
        if self.boots != 2:
            words += ["--boots", str(self.boots)]
        return words

    @property
    def _ends(self) -> list[str]:
        where = ["--packages", self.source] if self.kind == "packages" else ["--tree", self.source]
        return [*where, "--good", self.good, "--bad", self.bad]
