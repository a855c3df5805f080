"""Tries the kernel tree in the current directory, for the user's own `git bisect run`."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from sysevent.arches import Architecture
from sysevent.bisect import guests, session, static
from sysevent.bisect.ask import KernelResult, ask
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.question import Question
from sysevent.bisect.static import StaticClaim
from sysevent.build import source_tree, user_tree
from sysevent.build.git import GitFailed, git
from sysevent.build.user_tree import Builder
from sysevent.errors import KernelNotBuilt, ToolMissing, UsageError
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec


class TreeBuilder(Builder, Protocol):
    """What builds kernels and exports headers: build.kernel.KernelBuilder, or a fake."""

    def headers(self, tree: Path, log: Path) -> Path: ...


MakeBuilder = Callable[[Path], TreeBuilder]
"""Makes the builder of an architecture that builds below a directory."""


def tree_here() -> Path:
    """The kernel tree that the current directory is in; UsageError if it is in none, or it was built in place."""
    try:
        top = Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
    except GitFailed:
        # A tree without a repository can be tried as well.
        top = Path.cwd()
    if not source_tree.is_kernel_tree(top):
        raise UsageError(f"{top} is not a kernel tree: change to one, or name a kernel with --kernel")
    return user_tree.require(top, str(top))


@contextlib.contextmanager
def logs(results: str | None) -> Iterator[Path]:
    """Give the directory for the logs of a step: that of --results, or else a temporary one.

    A temporary one is removed if it is empty in the end, and if the step raises an exception, also that of a signal.
    """
    if results:
        path = Path(results).resolve()
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    path = Path(tempfile.mkdtemp(prefix="sysevent-bisect-"))
    try:
        yield path
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    # Not if a log is in it.
    with contextlib.suppress(OSError):
        path.rmdir()


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
    with user_tree.locked(tree, question.arch, settings, progress) as folder:
        try:
            built = make_builder(folder).build(tree, logs / "build.log")
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
    with user_tree.locked(tree, arch.name, settings, progress) as folder:
        export = partial(make_builder(folder).headers, log=logs / "headers.log")
        read = static.reader(arch, export, settings, progress)
        probe = static.LayoutProbe(lambda _: None, lambda _: "", tree, read, claims, {})
        step = probe("", None)
    return KernelResult(step.outcome, step.reason, None, step.judged, {})
