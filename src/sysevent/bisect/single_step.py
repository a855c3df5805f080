"""Tries the kernel tree in the current directory, for the user's own `git bisect run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from sysevent.arches import Architecture
from sysevent.bisect import guests, session, static
from sysevent.bisect.ask import KernelResult, ask
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.probes import Builder
from sysevent.bisect.question import Question
from sysevent.bisect.repository import GitFailed, git
from sysevent.bisect.static import StaticClaim
from sysevent.cache import Cache
from sysevent.errors import KernelNotBuilt, ToolMissing, UsageError
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec

# The build directory of the user's own tree, beside that of whole searches: it belongs to one source directory.
_BUILD = "here"


class TreeBuilder(Builder, Protocol):
    """What builds kernels and exports headers: build.kernel.KernelBuilder, or a fake."""

    def headers(self, tree: Path, log: Path) -> Path: ...


MakeBuilder = Callable[[Path], TreeBuilder]
"""Makes the builder of an architecture that builds below a directory."""


def tree_here() -> Path:
    """The kernel tree that the current directory is in; UsageError if it is in none."""
    try:
        top = Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
    except GitFailed:
        # A tree without a repository can be tried as well.
        top = Path.cwd()
    if not (top / "Kbuild").exists() or not (top / "arch").is_dir():
        raise UsageError(f"{top} is not a kernel tree: change to one, or name a kernel with --kernel")
    return top


def try_tree(
    tree: Path,
    question: Question,
    target: TargetSpec,
    make_builder: MakeBuilder,
    logs: Path,
    settings: Settings,
    progress: Progress,
) -> KernelResult:
    """Build a tree and ask its kernel; UNKNOWN if it cannot be built."""
    folder = session.work_directory(tree, question.arch, settings)
    builder = make_builder(folder / _BUILD)
    with Cache(settings.cache).lock(f"bisect-{folder.name}", "bisect", progress):
        try:
            built = builder.build(tree, logs / "build.log")
        except (KernelNotBuilt, ToolMissing) as error:
            return KernelResult(Outcome.UNKNOWN, str(error), None, (), {})
        for note in built.notes:
            progress(note)
        boot = guests.boot_on(spec.with_own_configuration(target), settings, progress)
        return ask(boot, built.spec, session.procedure(question), logs)


def try_headers(
    tree: Path,
    arch: Architecture,
    claims: Sequence[StaticClaim],
    make_builder: MakeBuilder,
    logs: Path,
    settings: Settings,
    progress: Progress,
) -> KernelResult:
    """Export the headers of a tree and judge the claims about them; UNKNOWN if they cannot be exported or compiled."""
    folder = session.work_directory(tree, arch.name, settings)
    builder = make_builder(folder / _BUILD)
    export = partial(builder.headers, log=logs / "headers.log")
    read = static.reader(arch, export, settings, progress)
    with Cache(settings.cache).lock(f"bisect-{folder.name}", "bisect", progress):
        probe = static.LayoutProbe(lambda _: None, lambda _: "", tree, read, claims, {})
        step = probe("", None)
    return KernelResult(step.outcome, step.reason, None, step.judged, {})
