"""sysevent bisect: which commit, or which release, changed what a VMM reads.

Exit codes of a whole search: 0 found, 1 an end is not what it was said to be, 125 cannot be narrowed further.
Of a single step, for `git bisect run`: 0 good, 1 bad, 125 cannot tell. Of both: 129 stop, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

import sysevent
from sysevent.arches import Architecture, architecture
from sysevent.bisect import guests, report, selection, session, single_step
from sysevent.bisect.ask import KernelResult, ask
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.question import Kind, Question
from sysevent.bisect.repository import Tree
from sysevent.bisect.session import Equipment
from sysevent.bisect.single_step import TreeBuilder
from sysevent.bisect.state import NAME, State
from sysevent.bisect.static import reader, static_claims
from sysevent.build.kernel import KernelBuilder
from sysevent.checkout import results_home
from sysevent.cli import say, show
from sysevent.contract import catalogue, kernel_release
from sysevent.doctor.requirements import ensure_header_export, ensure_kernel_build, ensure_qemu
from sysevent.errors import UsageError
from sysevent.images.debian import published
from sysevent.images.debian.archive import Archive
from sysevent.images.kernel.identity import file_build_id
from sysevent.model import Status
from sysevent.qemu.version import version
from sysevent.settings import Settings, from_options
from sysevent.targets import spec


def ensure_programs(kind: Kind, arch: Architecture) -> None:
    """UsageError with the line to paste if a program is missing: a usage error, not an inconclusive step."""
    if kind != "layout":
        ensure_qemu([arch.name], say)
    if kind == "layout":
        ensure_header_export()
    elif kind == "build":
        ensure_kernel_build(arch)


def equip(question: Question, settings: Settings, jobs: int | None, build: Path) -> Equipment:
    """What the question is answered with on this machine. jobs: of make. build: the directory to build in."""
    arch = architecture(question.arch)
    if question.kind == "layout":
        builder = KernelBuilder(arch, build, say, build_id=file_build_id, jobs=jobs)
        export = partial(builder.headers, log=build / "headers.log")
        return Equipment(read=reader(arch, export, settings, say), tools={"sysevent": question.version})
    target = guests.target_for(question.target, question.targets, arch)
    tools = {"QEMU": version(arch)} | ({"sysevent": question.version} if question.version else {})
    if question.kind == "packages":
        return Equipment(guests.boot_on(target, settings, say), tools=tools)
    fragments = [Path(name) for name in question.fragments]
    builder = KernelBuilder(arch, build, say, build_id=file_build_id, jobs=jobs, fragments=fragments)
    boot = guests.boot_on(spec.with_own_configuration(target), settings, say)
    return Equipment(boot, builder, tools=tools)


class Services(msgspec.Struct, frozen=True):
    """What the verb does outside this process, and where its results go; tests replace parts of it."""

    ensure_programs: Callable[[Kind, Architecture], None] = ensure_programs
    equip: Callable[[Question, Settings, int | None, Path], Equipment] = equip
    builder: Callable[..., TreeBuilder] = partial(KernelBuilder, build_id=file_build_id)
    results: Path = msgspec.field(default_factory=results_home)


def run(args: argparse.Namespace, services: Services | None = None) -> int:
    """Try one step, or search; the exit code."""
    services = services or Services()
    settings = from_options(vars(args))
    if args.boots < 1:
        raise UsageError("--boots must be at least 1")
    return _one_step(args, settings, services) if args.step else _search(args, settings, services)


def _search(args: argparse.Namespace, settings: Settings, services: Services) -> int:
    state = _resumed(args, services.results) if args.resume else _state(args, settings, services.results)
    question = state.question
    services.ensure_programs(question.kind, architecture(question.arch))
    say(f"state and logs: {state.folder}")
    try:
        result = session.run(state, settings, partial(services.equip, question, settings, args.jobs), say)
    except KeyboardInterrupt:
        say(
            f"kernels judged so far: {len(state.ends) + len(state.steps)}; to go on: {_going_on(args, state)}"
        )
        raise
    text = report.text(result.conclusion, state, result.about)
    found = json.dumps(report.as_json(result.conclusion, state), indent=1)
    (state.folder / "report.txt").write_text(text, encoding="utf-8")
    (state.folder / "report.json").write_text(found + "\n", encoding="utf-8")
    if args.json and args.json != "-":
        Path(args.json).write_text(found + "\n", encoding="utf-8")
    print(found if args.json == "-" else text, end="", flush=True)
    return result.conclusion.end.code


def _state(args: argparse.Namespace, settings: Settings, results: Path) -> State:
    """The state of the bisection that the options describe: an earlier one with the same question, or a new one."""
    question = _question(args, settings)
    default = results / f"bisect-{question.arch}-{question.key}"
    folder = Path(args.results).resolve() if args.results else default
    known = None if args.anew else State.resume(folder)
    if known is None:
        return State.begin(folder, question)
    if known.question != question:
        raise UsageError(
            f"{folder} holds another bisection: name another --results, or begin again with --anew"
        )
    return known


def _going_on(args: argparse.Namespace, state: State) -> str:
    """The command that continues a search, with the options that are not part of its question."""
    given = {name: getattr(args, name) for name in ("jobs", "mirror", "keyring", "offline")}
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items() if value]
    return shlex.join(["sysevent", "bisect", "--resume", f"--results={state.folder}", *words])


def _resumed(args: argparse.Namespace, results: Path) -> State:
    """The bisection in the directory of --results; without, the latest of the usual place that has not ended."""
    if args.results:
        known = State.resume(Path(args.results).resolve())
        if known is None:
            raise UsageError(f"--resume: {args.results} holds no bisection")
        return known
    states = sorted(results.glob(f"bisect-*/{NAME}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(states):
        if not (path.parent / "report.txt").exists() and (state := State.resume(path.parent)):
            return state
    raise UsageError(f"--resume: no bisection in {results} is unfinished")


def _kind(args: argparse.Namespace) -> tuple[Kind, str]:
    """What the selected claims need, and the architecture that they are about."""
    chosen = selection.select(args.test, catalogue.load().of_guests, args.arch or "")
    headers = selection.select(args.test, static_claims(args.arch or ""))
    if args.layout or (args.test and headers and not chosen):
        archs = sorted({claim.userspace.arch for claim in headers})
        if not archs:
            raise UsageError(f"--test {' '.join(args.test)} selects no claim about headers")
        if len(archs) > 1:
            raise UsageError(f"the selected claims are about {', '.join(archs)}: choose one with --arch")
        return "layout", archs[0]
    arch = args.arch or selection.architecture_of(chosen, args.test)
    if not chosen:
        raise UsageError(f"--test {' '.join(args.test)} selects no claim about {arch}")
    return "packages" if args.packages else "build", arch


def _question(args: argparse.Namespace, settings: Settings) -> Question:
    if args.kernel or args.modules:
        raise UsageError("--kernel and --modules are for `sysevent bisect run`")
    if bool(args.tree) == bool(args.packages) or not args.good or not args.bad:
        raise UsageError("needs --good and --bad, and one of --tree DIR or --packages debian")
    kind, arch = _kind(args)
    if args.packages and kind == "layout":
        raise UsageError(
            "claims about headers are searched with --tree; `sysevent layout diff` compares the headers of packages"
        )
    architecture(arch)
    good, bad = args.good, args.bad
    if kind == "packages":
        known = published.all_kernels(architecture(arch), Archive(settings, say))
        source = args.packages
        good, bad = (published.choose(known, name).version for name in (good, bad))
    else:
        tree = Tree(Path(args.tree).expanduser().resolve())
        source = str(tree.path)
        good, bad = tree.commit(good), tree.commit(bad)
        for commit, named in ((good, args.good), (bad, args.bad)):
            tree.require_kernel(commit, named)
    if good == bad:
        raise UsageError(f"good and bad are the same: {good}")
    if args.floor:
        kernel_release.floor(args.floor)
    return _asking(args, kind, arch, source=source, good=good, bad=bad)


def _asking(
    args: argparse.Namespace, kind: Kind, arch: str, *, source: str = "", good: str = "", bad: str = ""
) -> Question:
    """The question with what the options say about asking and judging; a single step has no source and no ends."""
    return Question(
        kind=kind,
        source=source,
        arch=arch,
        good=good,
        bad=bad,
        good_named=args.good or "",
        bad_named=args.bad or "",
        tests=tuple(args.test),
        abi=args.abi,
        target=args.target or "",
        targets=tuple(str(Path(name).resolve()) for name in args.targets),
        boot_failure_is_bad=args.boot_failure == "bad",
        strict=args.strict_observed,
        strict_errata=args.strict_errata,
        floor=args.floor or "",
        fragments=tuple(str(Path(name).resolve()) for name in args.config),
        boots=args.boots,
        version=sysevent.__version__,
    )


def _one_step(args: argparse.Namespace, settings: Settings, services: Services) -> int:
    """Try the kernel tree of the current directory, or the kernel of --kernel."""
    if args.tree or args.packages or args.good or args.bad or args.resume or args.anew:
        raise UsageError(
            "`sysevent bisect run` tries the tree in the current directory: it takes no --tree, --packages, --good, "
            "--bad, --resume, --anew"
        )
    if args.layout:
        return _one_step_of_headers(args, settings, services)
    chosen = selection.select(args.test, catalogue.load().of_guests, args.arch or "")
    if not chosen:
        show(f"{Outcome.UNKNOWN}: --test {' '.join(args.test)} selects no claim")
        return Outcome.UNKNOWN.code
    arch = architecture(args.arch or selection.architecture_of(chosen, args.test))
    question = _asking(args, "build", arch.name)
    target = guests.target_for(question.target, question.targets, arch)
    if args.kernel:
        services.ensure_programs("packages", arch)
        modules = Path(args.modules) if args.modules else None
        boot = guests.boot_on(target, settings, say, modules)
        with single_step.logs(args.results) as logs:
            asked = ask(boot, args.kernel, session.procedure(question), logs)
            return _show(asked, logs, keep=bool(args.results))
    services.ensure_programs("build", arch)
    tree = single_step.tree_here()
    fragments = [Path(name) for name in question.fragments]

    def builder(folder: Path) -> TreeBuilder:
        return services.builder(arch, folder, say, jobs=args.jobs, fragments=fragments)

    with single_step.logs(args.results) as logs:
        result = single_step.try_tree(tree, question, target, builder, logs, settings, say)
        return _show(result, logs, keep=bool(args.results))


def _one_step_of_headers(args: argparse.Namespace, settings: Settings, services: Services) -> int:
    if not args.arch:
        raise UsageError("--layout needs --arch")
    arch = architecture(args.arch)
    claims = selection.select(args.test, static_claims(arch.name))
    services.ensure_programs("layout", arch)
    tree = single_step.tree_here()

    def builder(folder: Path) -> TreeBuilder:
        return services.builder(arch, folder, say, jobs=args.jobs)

    with single_step.logs(args.results) as logs:
        result = single_step.try_headers(tree, arch, claims, builder, logs, settings, say)
        return _show(result, logs, keep=bool(args.results))


def _show(result: KernelResult, logs: Path, *, keep: bool) -> int:
    """Print a result; its exit code. keep: do not remove the logs of a good revision; others are named."""
    release = f"Linux {result.facts.release}: " if result.facts else ""
    show(f"{result.outcome}: {release}{result.reason}")
    if result.facts and result.facts.identity:
        show(f"  {result.facts.identity}")
    for one in result.judged:
        if one.status not in (Status.PASS, Status.SKIP):
            show(f"  {one.status} {one.test}: {one.reason}")
    if result.outcome is Outcome.GOOD:
        if not keep:
            shutil.rmtree(logs, ignore_errors=True)
    elif any(logs.iterdir()):
        show(f"  logs: {logs}")
    return result.outcome.code
