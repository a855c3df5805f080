"""sysevent peers: the kernel's own selftests, and kvm-unit-tests, in the same guests as this project's claims."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sysevent import interrupts
from sysevent.arches import architecture
from sysevent.cli import say, show
from sysevent.cli.new_results import new_folder
from sysevent.doctor import system_packages
from sysevent.doctor.requirements import ensure_qemu
from sysevent.errors import InfrastructureError, NotApplicable, ToolMissing, UsageError
from sysevent.images.kernel import mistakes
from sysevent.peers import compilation
from sysevent.peers import unit_tests as units
from sysevent.peers.session import Session, Write
from sysevent.report import peers_table, records, run_log
from sysevent.report.recorded_peer import Peer
from sysevent.report.records import Record
from sysevent.report.run_log import RunLog
from sysevent.settings import from_options
from sysevent.targets import spec
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec

# The exit code if something under or around the programs broke.
_NO_RESULT = 3


def run(args: argparse.Namespace) -> int:
    """Run everything on one target after the other, print a table for each, and return the exit code.

    0: all passed or do not apply; 1: a program failed in two guests; 3: one has no result, or none passed.
    """
    targets = _targets(args)
    if args.kvm_unit_tests:
        units.require(Path(args.kvm_unit_tests))
    start = datetime.now(UTC)
    # What is mistyped is said before what must be installed.
    results = new_folder(args.results)
    ensure_qemu(list(dict.fromkeys(target.arch for target in targets)), say)
    _ensure_compilers(targets)
    log = RunLog(run_log.path_in(results))
    log.write(run_log.beginning(start, sys.argv))
    found: list[Record] = []

    def write(record: Record) -> None:
        log.write(record)
        found.append(record)

    code = _NO_RESULT
    try:
        asked = [_ask(args, target, results, write, found, alone=len(targets) == 1) for target in targets]
        code = peers_table.exit_code([one for one in found if isinstance(one, Peer)])
        code = code if all(asked) else code or _NO_RESULT
    finally:
        log.write(records.End(counts={}, exit=code, reason=interrupts.reason()))
        log.close()
    say(f"results: {results}")
    return code


def _targets(args: argparse.Namespace) -> list[TargetSpec]:
    """Return the guests that the command line selects; UsageError for a mistake, before anything is fetched."""
    chosen = [
        target
        for target in spec.select(spec.known(args.targets), args.target, args.arch, args.kernel)
        if target.booted
    ]
    if not chosen:
        raise UsageError(
            "programs of others run only in guests that this machine boots: name such a --target"
        )
    for kernel in args.kernel:
        mistakes.check(kernel, dict.fromkeys(target.arch for target in chosen))
    return chosen


def _ensure_compilers(targets: Sequence[TargetSpec]) -> None:
    """ToolMissing, with the line that installs them, unless everything is installed that compiles the programs."""
    archs = [architecture(name) for name in dict.fromkeys(target.arch for target in targets)]
    missing = [name for name in ("make", "rsync", "gcc") if not shutil.which(name)]
    missing += [f"gcc-{arch.name}" for arch in archs if not compilation.has_gcc(arch)]
    if missing:
        line = system_packages.this_machine().line(missing).replace("\n", "\n    ")
        raise ToolMissing(
            f"what compiles the selftests is missing ({', '.join(missing)}); install it with\n    {line}"
        )


def _ask(
    args: argparse.Namespace,
    target: TargetSpec,
    results: Path,
    write: Write,
    found: Sequence[Record],
    *,
    alone: bool,
) -> bool:
    """Run everything on one target, print its table, and return False if that was not possible.

    What does not apply to one of several targets is only said.
    """
    settings = from_options(vars(args))
    modules = Path(args.modules) if args.modules else None
    session = Session(target, settings, run_log.logs_in(results, target.id), write, say, modules=modules)
    tree = Path(args.tree) if args.tree else None
    unit_tests = Path(args.kvm_unit_tests) if args.kvm_unit_tests else None
    before = len(found)
    try:
        for suite in session.suites(tree, unit_tests, args.jobs or 0):
            with Leases(settings).take(target, say):
                for one in session.run(suite):
                    say(f"{target.id}: {one.program}: {one.status}{f': {one.reason}' if one.reason else ''}")
    except NotApplicable as error:
        if alone:
            raise
        show(f"{target.id}  {target.kernel}\n  SKIP  {error}\n")
        return True
    except InfrastructureError as error:
        write(records.Incident(target=target.id, reason=str(error), log="", retried=False))
        if alone:
            raise
        show(f"{target.id}  {target.kernel}\n  MISS  {error}\n")
        return False
    show("\n".join(text for text, _ in peers_table.lines(found[before:])) + "\n")
    return True
