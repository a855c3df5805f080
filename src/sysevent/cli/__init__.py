"""The sysevent command: one module per verb, imported only if its verb is on the command line.

A verb's module has add_arguments(parser) and run(args) -> exit code. Except in run, test and report, where it is
pytest's, and in bisect, where git reads it, the exit code is one of these:

0    success
1    success, and the answer is no (doctor: something is missing)
2    the user asked for something that does not exist or does not fit together
3    something under or around the harness broke, or the harness itself
130  interrupted by Ctrl-C; 128 + N by another signal N; 141 if the reader of the output has ended
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from sysevent import __version__, interrupts, option_values, options, standard_streams, tracebacks
from sysevent.cli.parser import Parser, refuse, refuse_unknown
from sysevent.errors import SyseventError, UsageError, of_this_machine
from sysevent.text import escape

# Each verb with its line in --help. Its module has the same name, except for those in _MODULES.
VERBS = {
    "run": "the main job: boot every usable target, run every scenario, print the matrix",
    "test": "the harness's own tests, a few minutes",
    "doctor": "what this machine has and lacks, and how to fix it",
    "list": "the claims, a line each",
    "explain": "one claim: what is asked, what must come back, why, and what recorded kernels gave",
    "targets": "the known targets, and what each needs",
    "shell": "a shell in a guest of a target, with our VMM in it, or on a lab machine",
    "report": "what a recorded run found: the matrix, and how each generation of userspace reads its events",
    "results": "the results of runs: list, prune",
    "images": "the kernels that guests boot: list, fetch, verify, prune",
    "layout": "what KVM's headers mean in bytes, for every ABI: show, scan, diff",
    "bisect": "which commit, or which release, changed what a VMM reads",
    "sensitivity": "how many kernels with one wrong edit each the contract notices",
    "bench": "how long each step takes, and whether restored guests answer as booted ones do",
    "diff": "what differs between two kernels, or two runs, byte by byte",
}

# A module of this package called list would hide the built-in type here.
_MODULES = {"list": "listing"}

# git takes every exit code from 1 to 127 except 125 for "bad". Where git reads the exit code, every failure of this
# program must be more than 127, an error in its own code included (git-bisect(1), "bisect run").
_STOP = {"bisect": 129}

# The reader of the output has ended: the exit code of `yes` in `yes | head`.
_READER_ENDED = 128 + signal.SIGPIPE

# The verbs whose arguments after -- go to pytest.
_PYTEST_VERBS = ("run", "test")
_AFTER_DASHES = "; what is meant for pytest goes after --"


class _Verb(Protocol):
    """What the module of a verb offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line argv, by default this process's; the exit code."""
    standard_streams.repair()
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> int:
        module, args = parse(words)
        return module.run(args)

    return exit_code(_verb_of(words), action)


def exit_code(verb: str | None, action: Callable[[], int]) -> int:
    """The exit code of an action of a verb, with its exception printed if it raises one.

    No exception gives 1, which is an answer.
    """
    with interrupts.in_order() as signals:
        try:
            return _exit_code(_STOP.get(verb or ""), action)
        except KeyboardInterrupt:
            say(f"interrupted by {signals.reason or 'Ctrl-C'}")
            return signals.exit_code


def _exit_code(stop: int | None, action: Callable[[], int]) -> int:
    """stop: the exit code of every failure of a verb whose exit code git reads."""
    try:
        code = action()
        # Here, where an error can still be handled.
        sys.stdout.flush()
        return code
    except UsageError as error:
        say(str(error))
        return stop or 2
    except SyseventError as error:
        say(str(error))
        return stop or 3
    # Raised by argparse, and by rich if the reader of the output has ended.
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            return stop or _READER_ENDED
        if stop and error.code:
            return stop
        raise
    except (OSError, MemoryError) as error:
        if standard_streams.reader_has_ended():
            standard_streams.discard()
            return stop or _READER_ENDED
        say(str(of_this_machine("failed", error)))
        return stop or 3
    except Exception as error:
        say(f"an error of sysevent itself: {tracebacks.with_frames(error)}")
        return stop or 3


def say(line: str) -> None:
    """Print a line for the user on stderr, escaped; stdout is for what was asked."""
    # Without stderr the exit code alone must do.
    with contextlib.suppress(OSError, ValueError):
        print(f"sysevent: {escape(line)}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print what was asked on stdout, escaped: it can hold what a guest, a file, git or another user wrote."""
    print(escape(text), flush=True)


def module_name(verb: str) -> str:
    """The name of a verb's module."""
    return f"sysevent.cli.{_MODULES.get(verb, verb)}"


def _verb_of(argv: Sequence[str]) -> str | None:
    return next((word for word in argv if not word.startswith("-")), None)


def parse(argv: list[str]) -> tuple[_Verb, argparse.Namespace]:
    """The module of the verb on a command line, and its arguments.

    Raises SystemExit, as argparse does, or UsageError for a value that cannot be used.
    """
    name = _verb_of(argv)
    own, for_pytest = argv, list[str]()
    if name in _PYTEST_VERBS and "--" in argv:
        cut = argv.index("--")
        own, for_pytest = argv[:cut], argv[cut + 1 :]

    parser, chosen = _parsers(name)
    after = _AFTER_DASHES if name in _PYTEST_VERBS else ""
    if not own:
        parser.error("name a verb; `sysevent --help` lists them")
    if chosen is None:
        refuse_unknown(parser, "", own)
    elif name != "test":
        refuse_unknown(chosen[1], name or "", own, after)
    args, unknown = parser.parse_known_args(own)
    # argparse has refused every line without a known verb.
    if chosen is None:
        raise UsageError(f"no such verb: {name}")
    module, sub = chosen
    exact = f"{name} {getattr(args, f'{name}_verb', '')}".strip()
    if name == "test":
        for_pytest = unknown + for_pytest
    elif unknown:
        refuse(sub, exact, unknown, after)
    args.pytest_args = for_pytest
    if name not in options.RELAYING:
        option_values.check([row for row in options.OPTIONS if {name, exact} & row.uses.keys()], vars(args))
    return module, args


def _parsers(name: str | None) -> tuple[Parser, tuple[_Verb, argparse.ArgumentParser] | None]:
    """The parser of the command, and the module of a verb with its own parser; None if there is no such verb."""
    parser = Parser(
        prog="sysevent",
        description="Tests what a VMM reads from kvm_run when its guest shuts down, resets or crashes.",
    )
    parser.add_argument("--version", action="version", version=f"sysevent {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen: tuple[_Verb, argparse.ArgumentParser] | None = None
    for verb, line in VERBS.items():
        sub = verbs.add_parser(verb, help=line, description=line)
        if verb == name:
            module = cast(_Verb, importlib.import_module(module_name(verb)))
            module.add_arguments(sub)
            chosen = module, sub
    return parser, chosen
