"""sysevent bisect run: one revision tried, for people's own `git bisect run`."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sysevent.arches import Architecture, architecture
from sysevent.bisect import guests, selection, session, static
from sysevent.bisect.ask import Asked, ask
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.question import Kind, Question
from sysevent.bisect.repository import GitFailed, git
from sysevent.build import toolchain
from sysevent.build.kernel import KernelBuilder
from sysevent.cache import Cache
from sysevent.cli import system_packages
from sysevent.cli.run import say, see_to_qemu
from sysevent.contract import catalogue
from sysevent.errors import KernelNotBuilt, ToolMissing, UsageError
from sysevent.model import Status
from sysevent.settings import Settings
from sysevent.targets import spec as targets
from sysevent.targets.spec import TargetSpec


def run(args: argparse.Namespace, settings: Settings) -> int:
    """One revision: the checkout here, built, or a kernel that is there already."""
    if args.tree or args.packages or args.good or args.bad or args.resume or args.anew:
        raise UsageError(
            "`sysevent bisect run` tries what is here: it takes no --tree, --good, --bad, --resume"
        )
    if args.layout:
        return _headers(args, settings)
    chosen = selection.select(args.test, catalogue.load().exits, args.arch or "")
    if not chosen:
        print(f"cannot tell: --test {' '.join(args.test)} selects no claim")
        return Outcome.UNKNOWN.code
    arch = architecture(args.arch or selection.architecture_of(chosen, args.test))
    question = Question(
        kind="build",
        source="",
        arch=arch.name,
        good="",
        bad="",
        good_named="",
        bad_named="",
        tests=tuple(args.test),
        abi=args.abi,
        boots=args.boots,
        floor=args.floor or "",
        strict=args.strict_observed,
        boot_failure_is_bad=args.boot_failure == "bad",
    )
    target = target_of(args.target or "", args.targets, arch)
    if args.kernel:
        see_to_qemu([arch.name], install=False, explicit=True, progress=say)
        modules = Path(args.modules) if args.modules else None
        where = _logs(args)
        boot = guests.boots(target, settings, say, modules)
        return _told(
            ask(boot, args.kernel, session.manner(question), where), where, wanted=bool(args.results)
        )
    see_to_tools("build", arch)
    tree = _top()
    # "here": a build directory belongs to one place of its sources, and a whole search has another.
    place = session.place(tree, arch.name, settings)
    fragments = [Path(name) for name in args.config]
    builder = KernelBuilder(arch, place / "here", say, jobs=args.jobs, fragments=fragments)
    where = _logs(args)
    with Cache(settings.cache).lock(f"bisect-{place.name}", "bisect", say):
        try:
            built = builder.build(tree, where / "build.log")
        except (KernelNotBuilt, ToolMissing) as error:
            print(f"cannot tell: {error}")
            return Outcome.UNKNOWN.code
        for note in built.notes:
            say(note)
        boot = guests.boots(guests.own(target), settings, say)
        return _told(ask(boot, built.spec, session.manner(question), where), where, wanted=bool(args.results))


def _headers(args: argparse.Namespace, settings: Settings) -> int:
    """The tree here, by its headers."""
    if not args.arch:
        raise UsageError("--layout needs --arch")
    arch = architecture(args.arch)
    chosen = selection.select(args.test, static.static_claims(arch.name))
    see_to_tools("layout", arch)
    tree = _top()
    place = session.place(tree, arch.name, settings)
    builder = KernelBuilder(arch, place / "here", say, jobs=args.jobs)
    where = _logs(args)
    read = static.reader(arch, partial(builder.headers, log=where / "headers.log"), settings, say)
    with Cache(settings.cache).lock(f"bisect-{place.name}", "bisect", say):
        probe = static.LayoutProbe(lambda _: None, lambda _: "", tree, read, chosen, {})
        step = probe("", None)
    return _told(Asked(step.outcome, step.reason, None, step.judged, {}), where, wanted=bool(args.results))


def _top() -> Path:
    """The kernel tree that this directory is in."""
    try:
        top = Path(git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
    except GitFailed:
        top = Path.cwd()  # a tree without history can be tried, too
    if not (top / "Kbuild").exists() or not (top / "arch").is_dir():
        raise UsageError(f"{top} is no kernel tree: go there, or name a kernel with --kernel")
    return top


def _logs(args: argparse.Namespace) -> Path:
    if not args.results:
        return Path(tempfile.mkdtemp(prefix="sysevent-bisect-"))
    path = Path(args.results).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def _told(asked: Asked, logs: Path, *, wanted: bool) -> int:
    """The exit code, with what led to it printed; logs of a good revision stay only where --results wants them."""
    release = f"Linux {asked.facts.release}: " if asked.facts else ""
    print(f"{asked.outcome}: {release}{asked.reason}")
    for one in asked.judged:
        if one.status not in (Status.PASS, Status.SKIP):
            print(f"  {one.status} {one.test}: {one.reason}")
    if asked.outcome is not Outcome.GOOD:
        print(f"  logs: {logs}")
    elif not wanted:
        shutil.rmtree(logs, ignore_errors=True)
    return asked.outcome.code


def target_of(glob: str, files: Sequence[str], arch: Architecture) -> TargetSpec:
    """The one place where kernels are booted."""
    known = [*targets.builtin(), *(row for file in files for row in targets.read(Path(file)))]
    targets.unique(known, "--targets")
    chosen = targets.select(known, [glob or f"{arch.name}-tcg"], [arch.name], [])
    if len(chosen) > 1:
        raise UsageError(f"--target {glob} matches several targets: {', '.join(one.name for one in chosen)}")
    return chosen[0]


def see_to_tools(kind: Kind, arch: Architecture) -> None:
    """UsageError with the line to paste when something is missing: never a step that cannot be told."""
    if kind != "layout":
        see_to_qemu([arch.name], install=False, explicit=True, progress=say)
    lacking = toolchain.missing_for_headers() if kind == "layout" else ()
    if kind == "build":
        lacking = toolchain.missing(arch)
    if lacking:
        line = system_packages.install_line(lacking, system_packages.this_machine(), root=os.geteuid() == 0)
        raise UsageError(f"building kernels for {arch.name} needs more than this machine has:\n    {line}")
