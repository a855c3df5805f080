"""The sysevent command: one module per verb, imported when its verb is asked for.

A verb's module has add_arguments(parser) and run(args) -> exit code. Every exit code but pytest's own
(run, test) and git's (bisect) is one of these:

0    done
1    done, and the answer is no (doctor: something is missing)
2    the user asked for something that does not exist or does not fit together
3    something under or around it broke
130  interrupted
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Protocol, cast

from sysevent import __version__
from sysevent.errors import SyseventError, UsageError

VERBS = {  # verb: its line in --help. Its module has the same name
    "run": "the main job: boot every usable target, run every scenario, print the matrix",
    "test": "the harness's own tests, a few minutes",
    "doctor": "what this machine has and lacks, and how to fix it",
    "targets": "the targets there are, and what each needs",
    "shell": "a shell in a guest of a target, with our VMM at hand, or on a lab machine",
    "report": "what a recorded run found: the matrix, and how each generation of userspace reads its events",
    "images": "the kernels that guests boot: list, fetch, verify, prune",
    "layout": "what KVM's headers mean in bytes, for every ABI: show, scan, diff",
    "bisect": "which commit, or which release, changed what a VMM reads",
    "bench": "how fast it is, step by step; whether restored guests answer as booted ones do",
    "diff": "what two kernels, or two runs, give differently, byte by byte",
}

# git takes every exit code from 1 to 127 for "bad", but 125: where the answer is for git, whatever goes wrong
# here must be more, even an error of our own (git-bisect(1), "bisect run").
_STOP = {"bisect": 129}

_PYTEST_VERBS = ("run", "test")  # what stands after -- goes to pytest


class _Verb(Protocol):
    """What the module of a verb offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line argv (by default this process's); the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    stop = _STOP.get(_verb_of(words) or "")
    try:
        return _dispatch(words)
    except UsageError as error:
        _complain(error)
        return stop or 2
    except SyseventError as error:
        _complain(error)
        return stop or 3
    except KeyboardInterrupt:
        print("sysevent: interrupted", file=sys.stderr)
        return 130
    except SystemExit as error:  # argparse's
        if stop and error.code:
            return stop
        raise
    except Exception:
        if stop is None:
            raise
        traceback.print_exc()
        return stop


def _complain(error: SyseventError) -> None:
    print(f"sysevent: {error}", file=sys.stderr)


def _verb_of(argv: Sequence[str]) -> str | None:
    return next((word for word in argv if not word.startswith("-")), None)


def _dispatch(argv: list[str]) -> int:
    name = _verb_of(argv)
    own, for_pytest = argv, list[str]()
    if name in _PYTEST_VERBS and "--" in argv:
        cut = argv.index("--")
        own, for_pytest = argv[:cut], argv[cut + 1 :]

    parser = argparse.ArgumentParser(
        prog="sysevent",
        description="Tests what a VMM reads from kvm_run when its guest shuts down, resets or crashes.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sysevent {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen: tuple[_Verb, argparse.ArgumentParser] | None = None
    for verb, line in VERBS.items():
        sub = verbs.add_parser(verb, help=line, description=line, allow_abbrev=False)
        if verb == name:
            module = cast(_Verb, importlib.import_module(f"sysevent.cli.{verb}"))
            module.add_arguments(sub)
            chosen = module, sub

    args, unknown = parser.parse_known_args(own)
    if chosen is None:  # argparse has refused every line without a verb of ours
        raise UsageError(f"no such verb: {name}")
    module, sub = chosen
    if name == "test":  # has no options of its own: all of them are pytest's
        for_pytest = unknown + for_pytest
    elif unknown:
        hint = "; what is meant for pytest goes after --" if name in _PYTEST_VERBS else ""
        sub.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    args.pytest_args = for_pytest
    return module.run(args)
