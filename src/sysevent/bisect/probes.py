"""Probes, which try one revision: obtain its kernel, ask it, and return what happened and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent.bisect.ask import Boot, KernelResult, Procedure, ask
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.step import Step
from sysevent.build.user_tree import Builder
from sysevent.errors import KernelNotBuilt, ToolMissing
from sysevent.images.download import Gone
from sysevent.text import one_line


def narrowed(procedure: Procedure, tests: frozenset[str] | None) -> Procedure:
    """The procedure with these claims only, none of which may be skipped; unchanged if tests is None."""
    if tests is None:
        return procedure
    return msgspec.structs.replace(
        procedure, claims=tuple(claim for claim in procedure.claims if claim.test() in tests), all_apply=True
    )


class BuildProbe:
    """Tries a commit: checks it out, builds its kernel, boots and asks it."""

    def __init__(
        self,
        checkout: Callable[[str], None],
        title: Callable[[str], str],
        tree: Path,
        builder: Builder,
        boot: Boot,
        procedure: Procedure,
        logs: Path,
        tools: dict[str, str],
    ) -> None:
        self._checkout = checkout
        self._title = title
        self._tree = tree
        self._builder = builder
        self._boot = boot
        self._procedure = procedure
        self._logs = logs
        self._tools = tools

    def __call__(self, revision: str, tests: frozenset[str] | None) -> Step:
        """The step of a revision. Errors that say nothing about it are raised: DiskFull, HarnessError, GitFailed."""
        logs = self._logs / revision[:12]
        title = self._title(revision)
        begin = time.monotonic()
        self._checkout(revision)
        seconds = {"checkout": time.monotonic() - begin}
        try:
            built = self._builder.build(self._tree, logs / "build.log")
        except (KernelNotBuilt, ToolMissing) as error:
            seconds["build"] = time.monotonic() - begin - seconds["checkout"]
            return Step(
                revision, title, Outcome.UNKNOWN, one_line(error), seconds=rounded(seconds), logs=str(logs)
            )
        result = ask(self._boot, built.spec, narrowed(self._procedure, tests), logs)
        tools = self._tools | {"compiler": built.toolchain}
        return step(revision, title, result, seconds | built.seconds, built.notes, tools, logs)


class PackageProbe:
    """Tries a distribution's kernel: fetches its package, boots and asks it."""

    def __init__(
        self,
        fetch: Callable[[str], str],
        title: Callable[[str], str],
        boot: Boot,
        procedure: Procedure,
        logs: Path,
        tools: dict[str, str],
    ) -> None:
        self._fetch = fetch
        self._title = title
        self._boot = boot
        self._procedure = procedure
        self._logs = logs
        self._tools = tools

    def __call__(self, revision: str, tests: frozenset[str] | None) -> Step:
        """The step of a package version; UNKNOWN if the archive no longer has it.

        A network failure is raised, because it would make every further revision UNKNOWN as well.
        """
        logs = self._logs / revision.replace("/", "_")
        begin = time.monotonic()
        try:
            kernel = self._fetch(revision)
        except Gone as error:
            return Step(revision, self._title(revision), Outcome.UNKNOWN, one_line(error), logs=str(logs))
        seconds = {"fetch": time.monotonic() - begin}
        result = ask(self._boot, kernel, narrowed(self._procedure, tests), logs)
        return step(revision, self._title(revision), result, seconds, (), self._tools, logs)


def step(
    revision: str,
    title: str,
    result: KernelResult,
    seconds: dict[str, float],
    notes: tuple[str, ...],
    tools: dict[str, str],
    logs: Path,
) -> Step:
    """The step of a revision whose kernel was booted."""
    return Step(
        revision=revision,
        title=title,
        outcome=result.outcome,
        reason=result.reason,
        kernel=result.facts.release if result.facts else "",
        facts=result.facts,
        judged=result.judged,
        seconds=rounded(seconds | result.seconds),
        notes=notes,
        tools=tools | ({"VMM": result.facts.build_id} if result.facts and result.facts.build_id else {}),
        logs=str(logs),
    )


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """The seconds with two digits after the point."""
    return {what: round(took, 2) for what, took in seconds.items()}
