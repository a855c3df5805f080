"""sysevent explore: random sequences of actions against the model of the contract.

Exit codes: 0 the kernel follows every rule that was reached, 1 it does not, 3 nothing can be said.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sysevent import interrupts
from sysevent.arches import architecture
from sysevent.build import user_tree
from sysevent.checkout import typed
from sysevent.cli import building, say, show
from sysevent.cli.explored_lines import Lines, with_debugfs
from sysevent.cli.new_results import new_folder
from sysevent.conformance.contract import Contract
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import describe
from sysevent.conformance.play import Sequence
from sysevent.doctor.requirements import ensure_qemu
from sysevent.engine.asker import Asker
from sysevent.errors import InfrastructureError, NotApplicable, UsageError
from sysevent.explore import corpus, recording
from sysevent.explore.kernels import guests
from sysevent.explore.session import Limits, Report, Session
from sysevent.explore.validity import valid
from sysevent.images.kernel import mistakes
from sysevent.model import Facts, Incident, Status
from sysevent.report import asked, records, run_log
from sysevent.report.exit_code import INTERRUPTED, of_verdicts
from sysevent.settings import Settings, from_options
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec
from sysevent.text import one_line


def run(args: argparse.Namespace) -> int:
    """Explore one target after the other, and write a verdict for each rule."""
    with contextlib.ExitStack() as locks:
        return _run(args, locks)


def _run(args: argparse.Namespace, locks: contextlib.ExitStack) -> int:
    """Do what run() does; the locks of the kernels that are built stay with the caller."""
    if args.unguided and not args.coverage:
        raise UsageError("--unguided is about --coverage, which is not there")
    targets = [
        one
        for one in spec.select(spec.known(args.targets), args.target, args.arch, args.kernel)
        if one.booted
    ]
    if not targets:
        raise UsageError("explores guests of this machine's QEMU, and no such target is selected")
    replayed = [sequence for name in args.replay for sequence in corpus.read(Path(name))]
    if replayed:
        archs = {sequence.arch for sequence in replayed}
        targets = [one for one in targets if one.arch in archs]
        if not targets:
            raise UsageError(f"--replay is about {', '.join(sorted(archs))}, and no target of it is selected")
    for kernel in dict.fromkeys(args.kernel):
        mistakes.check(kernel, dict.fromkeys(one.arch for one in targets))
    settings = from_options(vars(args))
    if args.build:
        targets = _built(targets, args, settings, locks)
    if args.coverage:
        targets = [with_debugfs(one) for one in targets]
    ensure_qemu(list(dict.fromkeys(one.arch for one in targets)), say)
    results = new_folder(args.results)
    with contextlib.closing(run_log.RunLog(run_log.path_in(results))) as log:
        log.write(run_log.beginning(recording.now(), sys.argv))
        verdicts: list[records.Verdict] = []
        try:
            for target in targets:
                verdicts += _explore(target, settings, results, log, args, replayed)
        except KeyboardInterrupt:
            log.write(records.End(counts={}, exit=INTERRUPTED, reason=interrupts.reason()))
            raise
        code = _exit_code(verdicts)
        counts = {status: sum(one.status is status for one in verdicts) for status in Status}
        log.write(records.End(counts={status: n for status, n in counts.items() if n}, exit=code))
    show(f"results: {results}")
    return code


def _built(
    targets: list[TargetSpec], args: argparse.Namespace, settings: Settings, locks: contextlib.ExitStack
) -> list[TargetSpec]:
    """Build the tree of --build, and return the targets with its kernels. Raises what building.build() raises."""
    if args.kernel or args.modules:
        raise UsageError("--build asks the kernel that it builds: leave out --kernel and --modules")
    tree = user_tree.require(Path(args.build), f"--build {args.build}")
    kernels = {}
    for name in building.architectures(args, tree, building.Services()):
        if any(one.arch == name for one in targets):
            made = building.build(
                tree, architecture(name), settings, args.jobs, locks, coverage=args.coverage
            )
            kernels[name] = f"tree:{made.output}"
    return [msgspec.structs.replace(one, kernel=kernels[one.arch]) for one in targets if one.arch in kernels]


def _exit_code(verdicts: list[records.Verdict]) -> int:
    """DONE is a finding, too: about behaviour that is not promised."""
    if any(one.status in (Status.FAIL, Status.DONE) for one in verdicts):
        return 1
    return 3 if of_verdicts(verdicts) else 0


def _explore(
    target: TargetSpec,
    settings: Settings,
    results: Path,
    log: run_log.RunLog,
    args: argparse.Namespace,
    replayed: list[Sequence],
) -> list[records.Verdict]:
    """Explore one target; the verdicts that were written."""

    def incident(what: Incident) -> None:
        log.write(records.Incident(**msgspec.structs.asdict(msgspec.structs.replace(what, target=target.id))))
        say(f"{target.id}: {what.reason.splitlines()[0]}")

    def progress(line: str) -> None:
        say(f"{target.id}: {line.removeprefix(f'{target.id}: ')}")

    modules = Path(args.modules) if args.modules else None
    logs = run_log.logs_in(results, target.id)
    boots = guests(target, settings, logs, progress, incident, modules)
    limits = Limits(float(args.budget), args.max_examples or 0)
    contract_of = CONTRACTS[target.arch]
    session = Session(boots, limits, args.seed, progress)
    try:
        facts = session.open()
        if isinstance(session.kernel, Asker):
            log.write(asked.target(session.kernel, facts))
        if why := contract_of.fits(facts):
            raise NotApplicable(f"{target.id}: Linux {facts.release}: {why}")
        contract = contract_of(facts)
        lines = _lines(session, facts, target, settings, args)
        first = _first(contract, target, settings, replayed, lines)
        report = session.run(contract, first, only_first=bool(replayed))
    except NotApplicable as error:
        say(str(error))
        return []
    except InfrastructureError as error:
        incident(Incident(target.id, one_line(error), "", retried=False))
        return []
    finally:
        session.close()
    found = list(recording.verdicts(contract, facts, target.id, report, replayed=bool(replayed)))
    for verdict in found:
        log.write(verdict)
    _write(report, target, settings, results, log)
    _show(report, target, contract_of.arch, args.seed)
    if lines is not None:
        log.write(lines.finish(results, guided=not args.unguided))
    if report.interrupted:
        raise KeyboardInterrupt
    return found


def _lines(
    session: Session, facts: Facts, target: TargetSpec, settings: Settings, args: argparse.Namespace
) -> Lines | None:
    """Let a session record what its sequences reach, and return where that goes; None without --coverage."""
    if not args.coverage or session.kernel is None:
        return None
    lines = Lines(session.kernel, facts, target, settings)
    session.coverage, session.guided = lines.coverage, not args.unguided
    return lines


def _first(
    contract: Contract,
    target: TargetSpec,
    settings: Settings,
    replayed: list[Sequence],
    lines: Lines | None,
) -> Iterable[Sequence]:
    """Return the sequences to begin with: those of --replay, or those that are known. UsageError for unknown ones."""
    own = [sequence for sequence in replayed if sequence.arch == target.arch]
    if not all(valid(contract, sequence) for sequence in own):
        raise UsageError("--replay has a sequence that the model of this version of sysevent does not have")
    if own:
        return own
    return itertools.chain(corpus.known(settings, target.arch), lines.known.kept() if lines else ())


def _write(
    report: Report, target: TargetSpec, settings: Settings, results: Path, log: run_log.RunLog
) -> None:
    """Write the sequences with which the kernel disagrees, and print how each is asked again."""
    for finding in report.findings:
        log.write(records.Observation.of(target.id, finding.seen))
        line = corpus.line(finding.sequence)
        path = recording.keep(results / "found", finding.sequence, finding.asked.name, line)
        with contextlib.suppress(OSError):
            recording.keep(corpus.found_before(settings), finding.sequence, finding.asked.name, line)
        wrong = finding.disagreement
        show(f"FAIL {target.id} {wrong.rule.claim}: {wrong.rule.says}")
        show("\n".join(f"  {one}" for one in describe(finding.sequence, len(finding.sequence.actions))))
        show(
            "\n".join(f"  {one.what}: got {one.got}, expected {one.expected}" for one in wrong.mismatches[:8])
        )
        kernel = ["--kernel", target.kernel] if target.kernel else []
        words = ["explore", "--target", target.name, *kernel, "--replay", str(path)]
        show(f"  again: {typed()} {shlex.join(words)}")
    for reason, sequence in report.losses:
        if sequence is not None:
            path = recording.keep(results / "lost", sequence, "guest-lost", corpus.line(sequence))
            show(f"MISS {target.id}: {reason}; the sequence: {path}")


def _show(report: Report, target: TargetSpec, arch: str, seed: int) -> None:
    rules = {rule.name for rule in report.rules}
    show(
        f"{target.id}: {report.sequences} sequences, {report.actions} actions, {report.runs} calls of KVM_RUN, "
        f"{report.rate:.1f} sequences/s, {len(rules)} rules of {arch} followed, {len(report.findings)} findings, "
        f"seed {seed}"
    )
