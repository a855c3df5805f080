"""Bisection of headers: the uapi headers of a revision are exported and compiled, and no kernel is built."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import ABIS, Abi, Architecture, native
from sysevent.bisect.ask import raise_if_disk_full
from sysevent.bisect.outcome import Outcome, decide
from sysevent.bisect.probes import rounded
from sysevent.bisect.step import JudgedClaim, Step
from sysevent.build import source_tree
from sysevent.contract import catalogue
from sysevent.contract.layout_claim import HeaderFacts, LayoutClaim, Layouts
from sysevent.errors import InfrastructureError, NotApplicable
from sysevent.headers import compiled, resolve
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.text import one_line


class StaticClaim(msgspec.Struct, frozen=True):
    """One claim about headers, for one ABI."""

    # Such as layout.i386.system_event.
    name: str
    userspace: Abi
    claim: LayoutClaim

    @property
    def test(self) -> str:
        """Its name in run.jsonl."""
        return self.claim.test(self.userspace.name)


def static_claims(arch: str = "") -> tuple[StaticClaim, ...]:
    """Every claim about headers, for every ABI of an architecture, or of all architectures."""
    return tuple(
        StaticClaim(f"layout.{userspace.name}.{claim.title}", userspace, claim)
        for userspace in ABIS.values()
        if not arch or userspace.arch == arch
        for claim in catalogue.load().layouts
        if claim.asks is Layouts.HEADERS
        or (claim.asks is Layouts.FOREIGN_HEADERS and userspace is not native(userspace.arch))
    )


Read = Callable[[Path, Sequence[Abi]], dict[str, HeaderFacts]]
"""From a checked-out tree to the layouts of its headers, by ABI. Raises InfrastructureError and NotApplicable."""


Export = Callable[[Path], Path]
"""From a checked-out tree to its exported headers: build.kernel.KernelBuilder.headers, with a log."""


def reader(arch: Architecture, export: Export, settings: Settings, progress: Progress) -> Read:
    """A function that exports a tree's headers with export, and compiles them unless the cache has the result."""

    def read(tree: Path, userspaces: Sequence[Abi]) -> dict[str, HeaderFacts]:
        own = native(arch.name)
        root = export(tree)
        key = resolve.content_hash(resolve.include_directories(root, arch.name))
        spec = f"the tree at {tree}"
        found = resolve.Headers(spec, arch.name, source_tree.version(tree), key, None, root)
        known = compiled.layouts(
            found, {own.name: own, **{u.name: u for u in userspaces}}.values(), settings, progress
        )
        return {
            u.name: HeaderFacts(found.spec, found.version, u, known[u.name], known[own.name])
            for u in userspaces
        }

    return read


class LayoutProbe:
    """Tries a commit: checks it out, exports and compiles its headers."""

    def __init__(
        self,
        checkout: Callable[[str], None],
        title: Callable[[str], str],
        tree: Path,
        read: Read,
        claims: Sequence[StaticClaim],
        tools: dict[str, str],
    ) -> None:
        self._checkout = checkout
        self._title = title
        self._tree = tree
        self._read = read
        self._claims = claims
        self._tools = tools

    def __call__(self, revision: str, tests: frozenset[str] | None) -> Step:
        """The step of a revision; UNKNOWN if its headers cannot be exported or do not compile."""
        claims = [claim for claim in self._claims if tests is None or claim.test in tests]
        title = self._title(revision)
        begin = time.monotonic()
        self._checkout(revision)
        seconds = {"checkout": time.monotonic() - begin}
        begin = time.monotonic()
        called = ""
        judged: tuple[JudgedClaim, ...] = ()
        try:
            subjects = self._read(self._tree, tuple({c.userspace.name: c.userspace for c in claims}.values()))
            judged = tuple(_judged(claim, subjects[claim.userspace.name]) for claim in claims)
            called = next(iter(subjects.values())).version if subjects else ""
            outcome, reason = decide([one.status for one in judged], all_apply=tests is not None)
        except (InfrastructureError, NotApplicable) as error:
            raise_if_disk_full(error)
            outcome, reason = Outcome.UNKNOWN, one_line(error)
        seconds["headers"] = time.monotonic() - begin
        return Step(
            revision,
            title,
            outcome,
            reason,
            kernel=called,
            judged=judged,
            seconds=rounded(seconds),
            tools=self._tools,
        )


def _judged(claim: StaticClaim, subject: HeaderFacts) -> JudgedClaim:
    verdict = claim.claim.judge(subject)
    return JudgedClaim(
        claim.test, claim.claim.says, claim.claim.source, verdict.status, verdict.reason, verdict.mismatches
    )
