"""A bisection put together: the question and its state, what builds, what boots, what is searched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.bisect.ask import Boot, Manner
from sysevent.bisect.drive import Finding, Probe, bisect
from sysevent.bisect.probes import Builder, BuildProbe, PackageProbe
from sysevent.bisect.question import Question
from sysevent.bisect.repository import GitSearch, Tree, Workshop
from sysevent.bisect.search import Line, Search
from sysevent.bisect.selection import select
from sysevent.bisect.state import State
from sysevent.bisect.static import LayoutProbe, Read, static_claims
from sysevent.cache import Cache
from sysevent.contract import catalogue, kernel_release
from sysevent.contract.terms import Terms
from sysevent.images.debian import published
from sysevent.images.debian.archive import Archive
from sysevent.images.kernel import resolve
from sysevent.model import Progress
from sysevent.settings import Settings


class Means(msgspec.Struct, frozen=True):
    """What a bisection works with; tests put recorded ones here."""

    boot: Boot | None = None
    builder: Builder | None = None
    read: Read | None = None
    tools: dict[str, str] | None = None  # what is known of the programs used: QEMU's version


class Result(msgspec.Struct, frozen=True):
    """What came out, with the state it rests on."""

    finding: Finding
    state: State
    about: dict[str, str]  # of the suspect: who, when, why, which files


def manner(question: Question) -> Manner:
    """How each kernel is asked."""
    return Manner(
        claims=select(question.tests, catalogue.load().exits, question.arch),
        abi=question.abi,
        boots=question.boots,
        terms=Terms(
            floor=kernel_release.floor(question.floor) if question.floor else (0, 0),
            strict_observed=question.strict,
        ),
        boot_failure_is_bad=question.boot_failure_is_bad,
    )


def place(tree: Path, arch: str, settings: Settings) -> Path:
    """Where revisions of a tree are checked out and built: kept, since the next build is then a short one."""
    whole = tree.resolve()
    short = hashlib.sha256(str(whole).encode()).hexdigest()[:12]
    return settings.cache / "bisect" / f"{whole.name}-{short}-{arch}"


def run(
    state: State,
    settings: Settings,
    means: Callable[[Path], Means],
    say: Progress,
) -> Result:
    """Search on from a state until there is a finding. means is given the directory to build in."""
    question = state.question
    if question.kind == "packages":
        return _packages(state, settings, means(state.folder), say)
    tree = Tree(Path(question.source))
    where = place(tree.path, question.arch, settings)
    with Cache(settings.cache).lock(f"bisect-{where.name}", "bisect", say):
        workshop = Workshop(tree, where / "tree")
        search = GitSearch(workshop, question.good, question.bad)
        probe = _probe(question, workshop, search, means(where / "build"), state)
        finding = bisect(search, probe, state, say)
        about = {r: search.about(r) for r in finding.suspects[:1] if len(finding.suspects) == 1}
    return Result(finding, state, about)


def _probe(question: Question, workshop: Workshop, search: Search, means: Means, state: State) -> Probe:
    if question.kind == "layout":
        assert means.read is not None
        chosen = select(question.tests, static_claims(question.arch))
        return LayoutProbe(
            workshop.checkout, search.title, workshop.path, means.read, chosen, means.tools or {}
        )
    assert means.builder is not None
    assert means.boot is not None
    return BuildProbe(
        workshop.checkout,
        search.title,
        workshop.path,
        means.builder,
        means.boot,
        manner(question),
        state.folder,
        means.tools or {},
    )


def _packages(state: State, settings: Settings, means: Means, say: Progress) -> Result:
    question = state.question
    archive = Archive(settings, say)
    known = published.published(ARCHITECTURES[question.arch], archive)
    ends = (published.choose(known, question.good), published.choose(known, question.bad))
    line = published.between(known, *ends)
    titles = {one.version: f"Linux {one.kernel.release}, {one.suite}" for one in line}
    search = Line([one.version for one in line], titles)

    def fetch(version: str) -> str:
        spec = f"debian:{version}"
        resolve.find(spec, ARCHITECTURES[question.arch], settings, say)
        return spec

    assert means.boot is not None
    probe = PackageProbe(fetch, search.title, means.boot, manner(question), state.folder, means.tools or {})
    return Result(bisect(search, probe, state, say), state, {})
