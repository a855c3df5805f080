"""All claims of suites/, by name. The only module of contract/ that reads files.

Commands that judge claims without pytest load them here. Inside pytest each file is still imported only once, because
this module uses the same module names as pytest's importlib mode.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sysevent.arches import native
from sysevent.checkout import GUESTS, ROOT, SUITES
from sysevent.contract.claim import Claim, Claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.layout_claim import LayoutClaim
from sysevent.contract.log_claim import LogClaim
from sysevent.contract.terms import Terms
from sysevent.errors import HarnessError, UsageError
from sysevent.model import Facts
from sysevent.scenario.steps import Scenario


class Catalogue:
    """Claims by name, in the order of their files.

    Raises HarnessError if two claims, or two different scenarios, have the same name.
    """

    def __init__(self, claims: Iterable[Claim[Any]]) -> None:
        self._claims: dict[str, Claim[Any]] = {}
        for claim in claims:
            if claim.name in self._claims:
                raise HarnessError(f"two claims are called {claim.name!r}")
            self._claims[claim.name] = claim
        self._scenarios: dict[str, Scenario] = {}
        for asked in (claim.asks for claim in self._claims.values() if isinstance(claim, ExitClaim)):
            if self._scenarios.setdefault(asked.name, asked) != asked:
                raise HarnessError(f"two scenarios are called {asked.name!r}")

    def __iter__(self) -> Iterator[Claim[Any]]:
        return iter(self._claims.values())

    def __len__(self) -> int:
        return len(self._claims)

    @property
    def exits(self) -> Sequence[ExitClaim]:
        """The claims about exits of our own VMM."""
        return [
            claim
            for claim in self._claims.values()
            if isinstance(claim, ExitClaim) and not claim.asks.runs_programs
        ]

    @property
    def about_vmms(self) -> Sequence[ExitClaim]:
        """The claims about what users of real VMMs get."""
        return [
            claim
            for claim in self._claims.values()
            if isinstance(claim, ExitClaim) and claim.asks.runs_programs
        ]

    @property
    def of_guests(self) -> Sequence[ExitClaim | LogClaim]:
        """The claims that a running kernel is asked: about exits, and about its log."""
        logs = [claim for claim in self._claims.values() if isinstance(claim, LogClaim)]
        return [*self.exits, *logs]

    def applicable(self, arch: str, abi: str, facts: Facts, terms: Terms) -> Iterator[ExitClaim]:
        """Yield the claims about exits that apply to a kernel, and are judged on it for VMMs of an ABI."""
        for claim in self.exits:
            judged = claim.arch == arch and (not claim.abi or abi == native(arch).name)
            if judged and claim.applies(facts, terms):
                yield claim

    @property
    def layouts(self) -> Sequence[LayoutClaim]:
        """The claims about headers and BTF."""
        return [claim for claim in self._claims.values() if isinstance(claim, LayoutClaim)]

    @property
    def scenarios(self) -> dict[str, Scenario]:
        """The scenarios of all claims, by name."""
        return self._scenarios

    def claim(self, name: str) -> Claim[Any]:
        """Return the claim of this name. Raises UsageError if there is none."""
        try:
            return self._claims[name]
        except KeyError:
            raise UsageError(f"no claim is called {name!r}") from None

    def select(self, patterns: Iterable[str]) -> list[Claim[Any]]:
        """Return the claims whose names match one of the globs. Raises UsageError if a glob matches none."""
        wanted: set[str] = set()
        for pattern in patterns:
            found = fnmatch.filter(self._claims, pattern)
            if not found:
                raise UsageError(f"no claim matches {pattern!r}")
            wanted.update(found)
        return [claim for name, claim in self._claims.items() if name in wanted]


@functools.cache
def load(root: Path = SUITES) -> Catalogue:
    """Return the claims of every */test_*.py below root. Imports those files, but not pytest."""
    found: list[Claim[Any]] = []
    for path in sorted(root.glob("*/test_*.py")):
        for value in vars(_imported(path)).values():
            if isinstance(value, Claims):
                found += value
    return Catalogue(found)


def programs(claim: ExitClaim, root: Path = GUESTS) -> dict[str, str]:
    """Return the assembly of each payload that the claim's scenario loads, by the name of the payload."""
    folder = root / "payloads" / claim.arch
    return {name: (folder / f"{name}.S").read_text(encoding="utf-8") for name in claim.asks.payloads}


def _imported(path: Path) -> ModuleType:
    """Return a file's module, from sys.modules if pytest has imported it already."""
    inside = path.is_relative_to(ROOT)
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts) if inside else str(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HarnessError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
