"""Rules of the model: what KVM does, in a sentence, and where its source says so."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """One thing that KVM does, to which each step of the model is due."""

    # Of the architecture: "arm64".
    arch: str
    # Within the architecture: "psci.system_off".
    name: str
    # One sentence, with a full stop.
    says: str
    # The file and function of the kernel, or the document, that it was read from; with the commit where it changed.
    source: str

    @property
    def claim(self) -> str:
        """The name of the claim that KVM follows the rule: "arm64.explore.psci.system_off"."""
        return f"{self.arch}.explore.{self.name}"


class Rules:
    """The rules of one architecture, in the order in which they are documented."""

    def __init__(self, arch: str) -> None:
        self.arch = arch
        self._rows: dict[str, Rule] = {}

    def add(self, name: str, says: str, source: str) -> Rule:
        """Add a rule, and return it. ValueError if the architecture has one of that name."""
        if name in self._rows:
            raise ValueError(f"{self.arch} has two rules called {name}")
        self._rows[name] = Rule(self.arch, name, says, source)
        return self._rows[name]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)
