"""sysevent run: the main job. It checks that QEMU is installed, then becomes `pytest suites` with the same options.

With --build it first builds a kernel tree. With --repeat it starts pytest several times, and compares the verdicts.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sysevent import option_values, options
from sysevent.cache import Cache
from sysevent.checkout import ROOT
from sysevent.cli import say, show
from sysevent.cli.new_results import new_folder
from sysevent.digests_ahead import Ahead
from sysevent.doctor.requirements import ensure_qemu, install_unpackers, needed_architectures
from sysevent.errors import UsageError
from sysevent.process import die_with_parent
from sysevent.pytest_process import HERE, become_pytest, suites_command
from sysevent.report import repetition, run_log
from sysevent.report.records import Record
from sysevent.report.repetition import RepeatedRun
from sysevent.settings import from_environment
from sysevent.targets import built

# Exit codes of pytest with which every other run would end as well, and that of an interrupted one.
_USAGE, _INTERRUPTED = 4, 2
# Seconds for a run to end in order after SIGTERM.
_END = 60
# Bytes of the output of a run that could not begin.
_SHOWN = 4000

Start = Callable[[Sequence[str], Path], int]
"""Runs pytest with arguments, and its output in a file; returns its exit code."""


def run(args: argparse.Namespace) -> int:
    """Check that QEMU is installed, then become pytest on suites/, or run it several times."""
    if args.jobs is not None and args.build is None:
        raise UsageError("--jobs is for --build")
    if args.repeat is not None and (formats := options.formats(vars(args))):
        raise UsageError(
            f"--{formats[0].replace('=', ' ', 1)}: every run of --repeat would write this file; afterwards, "
            "`sysevent report` writes it from the directories of all runs"
        )
    _check_formats(args)
    # The locks of builds are held until the last guest has ended.
    with contextlib.ExitStack() as locks:
        if args.build is None:
            archs = needed_architectures(args.target, args.arch)
            ensure_qemu(archs, say, install=args.install_deps, explicit=bool(args.target or args.arch))
            if args.install_deps:
                # Here: few runs install anything.
                from sysevent.doctor import debian_access

                found = from_environment(mirror=args.mirror, keyring=args.keyring, offline=bool(args.offline))
                debian_access.install(debian_access.lacking(found), say)
                install_unpackers(say)
        else:
            # Here: a run without it does not wait for these modules.
            from sysevent.cli.building import build_first

            built.hand_over(build_first(args, args.jobs, locks), os.environ)
        if args.repeat is None:
            _hash_ahead(args)
            become_pytest("suites", [*pytest_options(args, Path.cwd()), *args.pytest_args])
        return repeat(args, args.repeat)


def _hash_ahead(args: argparse.Namespace) -> None:
    """Hash the files that the last run of the same tests needed, while pytest is loaded."""
    names = (args.target, args.targets, args.arch, args.kernel, args.vmm, args.pytest_args)
    ahead = Ahead(Cache(from_environment().cache), [str(name) for name in names])
    ahead.begin()
    atexit.register(ahead.remember)


def _check_formats(args: argparse.Namespace) -> None:
    """UsageError for formats that could not be written, before a kernel is built."""
    words = options.formats(vars(args))
    if not words:
        return
    option_values.check([row for row in options.of("run") if row.kind == "export"], {"export": words})
    # Imported here: most runs write none.
    from sysevent.report import exporting

    exporting.asked(words, vars(args))


def start_pytest(arguments: Sequence[str], output: Path) -> int:
    """Run pytest on suites/, to its end: also if this process is interrupted, which ends it in order."""
    command = die_with_parent(suites_command(arguments), "TERM")
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {HERE: str(Path.cwd())},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait(_END)
            raise


def repeat(args: argparse.Namespace, times: int, start: Start = start_pytest) -> int:
    """Run everything several times, with a line for each run, and print what differs; the exit code.

    The results of the runs are below the directory of --results, by their number. UsageError if it is not empty.
    """
    folder = new_folder(args.results, "repeat")
    folder.mkdir(parents=True, exist_ok=True)
    runs: list[RepeatedRun] = []
    try:
        for number in range(1, times + 1):
            results, output = folder / str(number), folder / f"{number}.out"
            words = pytest_options(argparse.Namespace(**vars(args) | {"results": str(results)}), Path.cwd())
            begin = time.monotonic()
            code = start([*words, *args.pytest_args], output)
            if code == _USAGE:
                raise UsageError(f"pytest ended with exit code {code}:\n{_end_of(output)}")
            runs.append(RepeatedRun.of(code, time.monotonic() - begin, _records(results)))
            show(repetition.line(number, times, runs))
            if code == _INTERRUPTED:
                break
    finally:
        if runs:
            show("\n".join(repetition.table(runs)))
            show(f"results: {folder}")
    return repetition.exit_code(runs)


def _records(results: Path) -> list[Record]:
    """The records of a run; none if it could not write its log."""
    path = run_log.path_in(results)
    return list(run_log.read(path)) if path.exists() else []


def _end_of(output: Path) -> str:
    return output.read_bytes()[-_SHOWN:].decode(errors="replace").strip()


def pytest_options(args: argparse.Namespace, here: Path) -> list[str]:
    """The options given, as pytest takes them, with paths made absolute against here: pytest runs at the root."""
    values = {**vars(args), "export": options.formats(vars(args))}
    return options.spelled(values, lambda option, value: options.absolute(option, value, here))
