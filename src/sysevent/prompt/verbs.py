"""The verbs of the command line, as data, and their arguments. Needs the standard library alone.

The launcher parses with this before any package is installed.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Mapping
from typing import NamedTuple

from sysevent import options
from sysevent.checkout import document


class Verb(NamedTuple):
    """One verb. Its module in sysevent.cli has run(args), which returns the exit code."""

    # In the --help of the command.
    line: str
    # "" for the verb's own name.
    module: str = ""
    # "" for argparse's.
    usage: str = ""
    # Below the options in --help.
    epilog: str = ""
    # Each verb below this one, with its line.
    verbs: Mapping[str, str] = types.MappingProxyType({})
    # True if arguments after -- go to pytest. A usage error has pytest's exit code then.
    pytest: bool = False
    # True if the standard library is enough, so that it runs before anything is installed.
    bare: bool = False


VERBS: Mapping[str, Verb] = {
    "run": Verb(
        "the main job: boot every usable target, run every scenario, print the matrix",
        usage="sysevent run [options] [-- PYTEST ARGS]",
        pytest=True,
    ),
    "test": Verb(
        "the harness's own tests, ten minutes",
        usage="sysevent test [PYTEST ARGS]",
        epilog="Every argument goes to pytest, as in: sysevent test -k wire -x",
        pytest=True,
    ),
    "doctor": Verb("what this machine has and lacks, and how to fix it"),
    # A module of sysevent.cli called list would hide the built-in type there.
    "list": Verb("the claims, a line each", module="listing"),
    "explain": Verb("one claim: what is asked, what must come back, why, and what recorded kernels gave"),
    "targets": Verb("the known targets, and what each needs"),
    "shell": Verb("a shell in a guest of a target, with our VMM in it, or on a lab machine"),
    "report": Verb(
        "what a recorded run found: the matrix, and how each generation of userspace reads its events",
        epilog=(
            "FILE can be - for one of the formats: the standard output. The exit code is that of the run, the worst "
            "one of several; 2 for a run that was killed."
        ),
    ),
    "results": Verb(
        "the results of runs: list, prune",
        verbs={
            "list": "each run with its start, its verdicts, its kernels and its size, the oldest first",
            "prune": "delete old runs, but none that --results named, and no bisection",
        },
    ),
    "images": Verb(
        "the kernels that guests boot: list, fetch, verify, prune",
        verbs={
            "list": "the known kernel tracks, and what of each is in the cache",
            "fetch": "download kernels into the cache, so that runs need no network",
            "verify": "hash the cache again and check the signatures; exit code 1 if something is wrong",
            "prune": "remove what no track refers to any more",
        },
    ),
    "layout": Verb(
        "what KVM's headers mean in bytes, for every ABI: show, scan, diff",
        verbs={
            "show": "draw a structure",
            "scan": "find structures that two ABIs lay out differently",
            "diff": "what changed between two kernels",
        },
    ),
    "bisect": Verb(
        "which commit, or which release, changed what a VMM reads",
        epilog=f"{document('bisect.md')} has examples and the table of exit codes",
    ),
    "sensitivity": Verb("how many kernels with one wrong edit each the contract notices"),
    "explore": Verb(
        "random sequences of actions against a model of the contract",
        epilog=f"{document('explore.md')} says what the model has, and how a finding is read",
    ),
    "vmms": Verb("what users of real VMMs get of each event: QEMU of several releases, in the same guests"),
    "peers": Verb("the kernel's own selftests of KVM, in the same guests as the claims"),
    "bench": Verb("how long each step takes, and whether restored guests answer as booted ones do"),
    "diff": Verb(
        "what differs between two kernels, or two runs, byte by byte",
        epilog="RUN: a results directory, its run.jsonl, or a kernel as for --kernel, which is run first",
    ),
    "completion": Verb(
        "a script for a shell, which then completes verbs, options, kernels, targets and claims"
    ),
    "man": Verb("the manual page; in a pipe its source, for a file sysevent.1", bare=True),
}


def module_name(verb: str) -> str:
    """Return the name of a verb's module."""
    return f"sysevent.cli.{VERBS[verb].module or verb}"


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Declare the arguments of a verb, and the verbs below it with those that all of them share."""
    verb = VERBS[name]
    parser.usage, parser.epilog = verb.usage or None, verb.epilog or None
    if not verb.verbs:
        options.feed(parser, name)
        return
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.feed(common, name)
    below = parser.add_subparsers(dest=f"{name}_verb", metavar="VERB", required=True)
    for word, line in verb.verbs.items():
        sub = below.add_parser(word, help=line, description=line, parents=[common], allow_abbrev=False)
        options.feed(sub, f"{name} {word}")
