"""sysevent bisect: which commit, or which release, changed what a VMM reads.

Exit codes of a whole search: 0 found, 1 an end is not what it was said to be, 125 cannot be narrowed further.
Of a single step, for `git bisect run`: 0 good, 1 bad, 125 cannot tell. Of both: 129 stop, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import sysevent
from sysevent.arches import ARCHITECTURES, architecture
from sysevent.bisect import guests, report, selection, session
from sysevent.bisect.question import Kind, Question
from sysevent.bisect.repository import Tree
from sysevent.bisect.session import Means
from sysevent.bisect.state import NAME, State
from sysevent.bisect.static import reader, static_claims
from sysevent.build.kernel import KernelBuilder
from sysevent.checkout import ROOT
from sysevent.cli import bisect_run
from sysevent.cli.bisect_run import see_to_tools, target_of
from sysevent.cli.run import say
from sysevent.contract import catalogue, kernel_release
from sysevent.errors import UsageError
from sysevent.images.debian import published
from sysevent.images.debian.archive import Archive
from sysevent.qemu.version import version
from sysevent.settings import Settings, from_environment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to search, what to ask, and how."""
    parser.epilog = "docs/bisect.md has examples and the table of exit codes"
    parser.add_argument(
        "step", nargs="?", choices=("run",), help="one step only, for `git bisect run sysevent bisect run …`"
    )
    what = parser.add_argument_group("what is searched")
    what.add_argument("--tree", metavar="DIR", help="a kernel's git repository; it is only read")
    what.add_argument("--packages", choices=("debian",), help="search a distribution's kernels instead")
    what.add_argument("--good", metavar="REV", help="a commit, or a version such as 6.12, where it was right")
    what.add_argument("--bad", metavar="REV", help="one where it is wrong")
    what.add_argument("--layout", action="store_true", help="ask the exported headers only: builds no kernel")
    what.add_argument("--kernel", metavar="SPEC", help="run: this kernel, instead of building the tree here")
    what.add_argument("--modules", metavar="DIR", help="run: modules for a --kernel that is a path")

    asked = parser.add_argument_group("what is asked")
    asked.add_argument(
        "--test",
        metavar="PATTERN",
        action="append",
        default=[],
        help="claims by name, glob or part of a name, as arm64.psci.off (repeatable); all of them by default",
    )
    asked.add_argument("--arch", metavar="ARCH", help=", ".join(ARCHITECTURES))
    asked.add_argument("--abi", metavar="ABI", default="native", help="of the VMM: native, or i386 on x86_64")
    asked.add_argument("--target", metavar="GLOB", help="where kernels are booted; by default under TCG")
    asked.add_argument("--targets", metavar="FILE", action="append", default=[], help="more targets, in TOML")
    asked.add_argument("--floor", metavar="RELEASE", help="a kernel must have what mainline RELEASE has")
    asked.add_argument("--strict-observed", action="store_true", help="unpromised behaviour counts, too")
    asked.add_argument(
        "--boots", metavar="N", type=int, default=2, help="boots of each kernel that must agree (default 2)"
    )
    asked.add_argument(
        "--boot-failure", choices=("skip", "bad"), default="skip", help="what a kernel is that does not boot"
    )

    how = parser.add_argument_group("how")
    how.add_argument(
        "--config", metavar="FILE", action="append", default=[], help="more kernel configuration"
    )
    how.add_argument("--jobs", metavar="N", type=int, help="of make; by default one for each CPU")
    how.add_argument("--resume", action="store_true", help="go on with the last bisection that did not end")
    how.add_argument("--anew", action="store_true", help="begin again, whatever is known already")
    how.add_argument("--results", metavar="DIR", help="for the state, the logs and the report")
    how.add_argument("--json", metavar="FILE", help="the report as JSON as well; - for stdout, instead")
    how.add_argument(
        "--mirror", metavar="URL", help="Debian mirror; by default the one this machine's apt uses"
    )
    how.add_argument("--keyring", metavar="FILE", help="certificates that may sign Debian's release files")
    how.add_argument("--offline", action="store_true", help="use what is in the cache, never the network")


def run(args: argparse.Namespace) -> int:
    """One step, or a whole search."""
    settings = from_environment(mirror=args.mirror, keyring=args.keyring, offline=args.offline)
    if args.boots < 1:
        raise UsageError("--boots: at least one")
    if args.step:
        return bisect_run.run(args, settings)
    state = _resumed() if args.resume else _state(args, settings)
    question = state.question
    see_to_tools(question.kind, architecture(question.arch))
    say(f"state and logs: {state.folder}")
    result = session.run(state, settings, partial(means, question, settings, jobs=args.jobs), say)
    text = report.text(result.finding, state, result.about)
    found = json.dumps(report.as_json(result.finding, state), indent=1)
    (state.folder / "report.txt").write_text(text, encoding="utf-8")
    (state.folder / "report.json").write_text(found + "\n", encoding="utf-8")
    if args.json and args.json != "-":
        Path(args.json).write_text(found + "\n", encoding="utf-8")
    print(found if args.json == "-" else text, end="", flush=True)
    return result.finding.end.code


def means(question: Question, settings: Settings, build: Path, *, jobs: int | None = None) -> Means:
    """What the question is answered with on this machine."""
    arch = architecture(question.arch)
    if question.kind == "layout":
        builder = KernelBuilder(arch, build, say, jobs=jobs)
        export = partial(builder.headers, log=build / "headers.log")
        return Means(read=reader(arch, export, settings, say), tools={"sysevent": question.version})
    target = target_of(question.target, question.targets, arch)
    tools = {"QEMU": version(arch)} | ({"sysevent": question.version} if question.version else {})
    if question.kind == "packages":
        return Means(guests.boots(target, settings, say), tools=tools)
    fragments = [Path(name) for name in question.fragments]
    builder = KernelBuilder(arch, build, say, jobs=jobs, fragments=fragments)
    return Means(guests.boots(guests.own(target), settings, say), builder, tools=tools)


def _state(args: argparse.Namespace, settings: Settings) -> State:
    """The state of the question that the options ask: an earlier one's, as long as it is the same."""
    question = _question(args, settings)
    default = ROOT / "results" / f"bisect-{question.arch}-{question.key}"
    folder = Path(args.results).resolve() if args.results else default
    known = None if args.anew else State.resume(folder)
    if known is None:
        return State.begin(folder, question)
    if known.question != question:
        raise UsageError(f"{folder} holds another bisection: name another --results, or begin --anew")
    return known


def _resumed() -> State:
    states = sorted((ROOT / "results").glob(f"bisect-*/{NAME}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(states):
        if not (path.parent / "report.txt").exists() and (state := State.resume(path.parent)):
            return state
    raise UsageError(f"no bisection below {ROOT / 'results'} is unfinished")


def _kind(args: argparse.Namespace) -> tuple[Kind, str]:
    """What has to be done for the claims that are asked, and the architecture that they are about."""
    chosen = selection.select(args.test, catalogue.load().exits, args.arch or "")
    headers = selection.select(args.test, static_claims(args.arch or ""))
    if args.layout or (args.test and headers and not chosen):
        archs = sorted({claim.userspace.arch for claim in headers})
        if len(archs) != 1:
            raise UsageError(
                f"--arch is needed: the claims selected are about {', '.join(archs)}"
                if archs
                else f"--test {' '.join(args.test)} selects no claim about headers"
            )
        return "layout", archs[0]
    arch = args.arch or selection.architecture_of(chosen, args.test)
    if not chosen:
        raise UsageError(f"--test {' '.join(args.test)} selects no claim about {arch}")
    return "packages" if args.packages else "build", arch


def _question(args: argparse.Namespace, settings: Settings) -> Question:
    if args.kernel or args.modules:
        raise UsageError("--kernel and --modules go with `sysevent bisect run`")
    if bool(args.tree) == bool(args.packages) or not args.good or not args.bad:
        raise UsageError("needs --good and --bad, and one of --tree DIR or --packages debian")
    if args.packages and args.layout:
        raise UsageError("--layout needs a --tree; `sysevent layout diff` compares the headers of packages")
    kind, arch = _kind(args)
    architecture(arch)
    good, bad = args.good, args.bad
    if kind == "packages":
        known = published.published(architecture(arch), Archive(settings, say))
        source = args.packages
        good, bad = (published.choose(known, name).version for name in (good, bad))
    else:
        tree = Tree(Path(args.tree).expanduser().resolve())
        source = str(tree.path)
        good, bad = tree.commit(good), tree.commit(bad)
    if good == bad:
        raise UsageError(f"good and bad are the same: {good}")
    if args.floor:
        kernel_release.floor(args.floor)
    return Question(
        kind=kind,
        source=source,
        arch=arch,
        good=good,
        bad=bad,
        good_named=args.good,
        bad_named=args.bad,
        tests=tuple(args.test),
        abi=args.abi,
        target=args.target or "",
        targets=tuple(str(Path(name).resolve()) for name in args.targets),
        boot_failure_is_bad=args.boot_failure == "bad",
        strict=args.strict_observed,
        floor=args.floor or "",
        fragments=tuple(str(Path(name).resolve()) for name in args.config),
        boots=args.boots,
        version=sysevent.__version__,
    )
