"""What a bisection is asked, complete enough to go on with it later."""

from __future__ import annotations

import hashlib
import shlex
from typing import Literal

import msgspec

Kind = Literal["build", "layout", "packages"]


class Question(msgspec.Struct, frozen=True):
    """The command line, with everything resolved that could mean something else tomorrow."""

    kind: Kind
    source: str  # the kernel tree, or "debian"
    arch: str
    good: str  # commit, or package version
    bad: str
    good_named: str  # as the user wrote them
    bad_named: str
    tests: tuple[str, ...] = ()  # patterns
    abi: str = "native"
    target: str = ""
    targets: tuple[str, ...] = ()  # files
    boot_failure_is_bad: bool = False
    strict: bool = False
    floor: str = ""
    fragments: tuple[str, ...] = ()  # more kernel configuration
    boots: int = 2  # of each kernel
    version: str = ""  # of sysevent

    @property
    def key(self) -> str:
        """Same command, same key: so it goes on where it stopped."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]

    @property
    def command(self) -> str:
        """The command line that asks this again, with the revisions written out."""
        return shlex.join(["sysevent", "bisect", *self._place, *self.options()])

    def options(self) -> list[str]:
        """What a single step takes as well."""
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
    def _place(self) -> list[str]:
        where = ["--packages", self.source] if self.kind == "packages" else ["--tree", self.source]
        return [*where, "--good", self.good, "--bad", self.bad]
