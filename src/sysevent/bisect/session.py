"""Assembles a bisection: the question and its state, the builder, the guests and the history to search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.bisect.ask import Boot, Procedure
from sysevent.bisect.drive import Conclusion, Probe, bisect
from sysevent.bisect.probes import BuildProbe, PackageProbe
from sysevent.bisect.question import Question
from sysevent.bisect.repository import GitSearch, Tree, Workspace
from sysevent.bisect.search import ReleaseList, Search
from sysevent.bisect.selection import select
from sysevent.bisect.state import State
from sysevent.bisect.static import LayoutProbe, Read, static_claims
from sysevent.build.user_tree import Builder, work_directory
from sysevent.cache import Cache
from sysevent.contract import catalogue
from sysevent.contract.terms import Terms
from sysevent.images.debian import published
from sysevent.images.debian.archive import Archive
from sysevent.images.kernel import resolve
from sysevent.model import Progress
from sysevent.settings import Settings


class Equipment(msgspec.Struct, frozen=True):
    """What a bisection builds, boots and reads headers with; tests use fakes with recorded kernels."""

    boot: Boot | None = None
    builder: Builder | None = None
    read: Read | None = None
    # Versions of the programs used, such as QEMU's.
    tools: dict[str, str] | None = None


class Result(msgspec.Struct, frozen=True):
    """The conclusion of a bisection, with the state that it rests on."""

    conclusion: Conclusion
    state: State
    # Author, date, message and files of the first bad commit, by its hash; empty if there is none.
    about: dict[str, str]


def procedure(question: Question) -> Procedure:
    """How each kernel is asked and judged."""
    return Procedure(
        claims=select(question.tests, catalogue.load().of_guests, question.arch),
        abi=question.abi,
        boots=question.boots,
        terms=Terms.of(question.floor, question.strict, question.strict_errata),
        boot_failure_is_bad=question.boot_failure_is_bad,
    )


def run(
    state: State,
    settings: Settings,
    equipment: Callable[[Path], Equipment],
    say: Progress,
) -> Result:
    """Search from a state to a conclusion. equipment is called with the directory to build in."""
    question = state.question
    if question.kind == "packages":
        return _packages(state, settings, equipment(state.folder), say)
    tree = Tree(Path(question.source))
    where = work_directory(tree.path, question.arch, settings)
    with Cache(settings.cache).lock(f"bisect-{where.name}", "bisect", say):
        workspace = Workspace(tree, where / "tree")
        search = GitSearch(workspace, question.good, question.bad)
        probe = _probe(question, workspace, search, equipment(where / "build"), state)
        conclusion = bisect(search, probe, state, say)
        about = {r: search.about(r) for r in conclusion.suspects[:1] if len(conclusion.suspects) == 1}
    return Result(conclusion, state, about)


def _probe(
    question: Question, workspace: Workspace, search: Search, equipment: Equipment, state: State
) -> Probe:
    if question.kind == "layout":
        assert equipment.read is not None
        chosen = select(question.tests, static_claims(question.arch))
        return LayoutProbe(
            workspace.checkout, search.title, workspace.path, equipment.read, chosen, equipment.tools or {}
        )
    assert equipment.builder is not None
    assert equipment.boot is not None
    return BuildProbe(
        workspace.checkout,
        search.title,
        workspace.path,
        equipment.builder,
        equipment.boot,
        procedure(question),
        state.folder,
        equipment.tools or {},
    )


def _packages(state: State, settings: Settings, equipment: Equipment, say: Progress) -> Result:
    question = state.question
    archive = Archive(settings, say)
    known = published.all_kernels(ARCHITECTURES[question.arch], archive)
    ends = (published.choose(known, question.good), published.choose(known, question.bad))
    line = published.between(known, *ends)
    titles = {one.version: f"Linux {one.kernel.release}, {one.suite}" for one in line}
    search = ReleaseList([one.version for one in line], titles)

    def fetch(version: str) -> str:
        spec = f"debian:{version}"
        resolve.find(spec, ARCHITECTURES[question.arch], settings, say)
        return spec

    assert equipment.boot is not None
    probe = PackageProbe(
        fetch, search.title, equipment.boot, procedure(question), state.folder, equipment.tools or {}
    )
    return Result(bisect(search, probe, state, say), state, {})
