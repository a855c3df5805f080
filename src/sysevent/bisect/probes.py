"""Trying one revision: have its kernel, ask it, and put down what happened with how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.bisect.ask import Asked, Boot, Manner, ask
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.step import Step
from sysevent.build.kernel import Built
from sysevent.errors import KernelNotBuilt, ToolMissing
from sysevent.images.download import Gone
from sysevent.text import one_line


class Builder(Protocol):
    """Makes a kernel of a tree: build.kernel.KernelBuilder, or a recorded one."""

    def build(self, tree: Path, log: Path) -> Built: ...


def narrowed(manner: Manner, tests: frozenset[str] | None) -> Manner:
    """The manner with these claims only, of which none may be skipped."""
    if tests is None:
        return manner
    return msgspec.structs.replace(
        manner, claims=tuple(claim for claim in manner.claims if claim.test() in tests), all_apply=True
    )


class BuildProbe:
    """Checks a commit out, builds it, boots it."""

    def __init__(
        self,
        checkout: Callable[[str], None],
        title: Callable[[str], str],
        tree: Path,
        builder: Builder,
        boot: Boot,
        manner: Manner,
        logs: Path,
        tools: dict[str, str],
    ) -> None:
        self._checkout = checkout
        self._title = title
        self._tree = tree
        self._builder = builder
        self._boot = boot
        self._manner = manner
        self._logs = logs
        self._tools = tools

    def __call__(self, revision: str, tests: frozenset[str] | None) -> Step:
        """The step. Raises what says nothing of the revision: DiskFull, errors of ours and of git."""
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
        asked = ask(self._boot, built.spec, narrowed(self._manner, tests), logs)
        tools = self._tools | {"compiler": built.toolchain}
        return step(revision, title, asked, seconds | built.seconds, built.notes, tools, logs)


class PackageProbe:
    """Fetches a distribution's kernel and boots it."""

    def __init__(
        self,
        fetch: Callable[[str], str],
        title: Callable[[str], str],
        boot: Boot,
        manner: Manner,
        logs: Path,
        tools: dict[str, str],
    ) -> None:
        self._fetch = fetch
        self._title = title
        self._boot = boot
        self._manner = manner
        self._logs = logs
        self._tools = tools

    def __call__(self, revision: str, tests: frozenset[str] | None) -> Step:
        """The step; a package that the archive no longer has is one that cannot be told.

        A network that fails is raised: it would make every further revision one that cannot be told.
        """
        logs = self._logs / revision.replace("/", "_")
        begin = time.monotonic()
        try:
            kernel = self._fetch(revision)
        except Gone as error:
            return Step(revision, self._title(revision), Outcome.UNKNOWN, one_line(error), logs=str(logs))
        seconds = {"fetch": time.monotonic() - begin}
        asked = ask(self._boot, kernel, narrowed(self._manner, tests), logs)
        return step(revision, self._title(revision), asked, seconds, (), self._tools, logs)


def step(
    revision: str,
    title: str,
    asked: Asked,
    seconds: dict[str, float],
    notes: tuple[str, ...],
    tools: dict[str, str],
    logs: Path,
) -> Step:
    """A step out of what a kernel answered."""
    return Step(
        revision=revision,
        title=title,
        outcome=asked.outcome,
        reason=asked.reason,
        kernel=asked.facts.release if asked.facts else "",
        facts=asked.facts,
        judged=asked.judged,
        seconds=rounded(seconds | asked.seconds),
        notes=notes,
        tools=tools | ({"VMM": asked.facts.build_id} if asked.facts and asked.facts.build_id else {}),
        logs=str(logs),
    )


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """To what a person cares for."""
    return {what: round(took, 2) for what, took in seconds.items()}
