"""Parses the command line, and refuses what can be refused at once. Needs the standard library alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sysevent import __version__, option_values, options
from sysevent.errors import UsageError
from sysevent.prompt import names
from sysevent.prompt.parser import Parser, refuse, refuse_unknown
from sysevent.prompt.verbs import VERBS, add_arguments

_AFTER_DASHES = "; what is meant for pytest goes after --"


def verb_of(argv: Sequence[str]) -> str | None:
    """Return the verb on a command line, which may not exist; None if there is none."""
    return next((word for word in argv if not word.startswith("-")), None)


def parse(argv: list[str]) -> tuple[str, argparse.Namespace]:
    """Return the verb of a command line, and its arguments.

    Raises SystemExit, as argparse does, or UsageError for a value that cannot be used.
    """
    name = verb_of(argv)
    own, for_pytest = argv, list[str]()
    row = VERBS.get(name or "")
    passes_on = row is not None and row.pytest
    if passes_on and "--" in argv:
        cut = argv.index("--")
        own, for_pytest = argv[:cut], argv[cut + 1 :]

    parser, sub = parsers(name)
    after = _AFTER_DASHES if passes_on else ""
    if not own:
        parser.error("name a verb; `sysevent --help` lists them")
    if sub is None:
        refuse_unknown(parser, "", own)
    elif name != "test":
        refuse_unknown(sub, name or "", own, after)
    args, unknown = parser.parse_known_args(own)
    # argparse has refused every line without a known verb.
    if name is None or sub is None:
        raise UsageError(f"no such verb: {name}")
    exact = f"{name} {getattr(args, f'{name}_verb', '')}".strip()
    if name == "test":
        for_pytest = unknown + for_pytest
    elif unknown:
        refuse(sub, exact, unknown, after)
    args.pytest_args = for_pytest
    option_values.check([row for row in options.OPTIONS if {name, exact} & row.uses.keys()], vars(args))
    names.check(exact, args)
    return name, args


def parsers(name: str | None) -> tuple[Parser, argparse.ArgumentParser | None]:
    """Return the parser of the command, and that of a verb, which alone has arguments; None if it does not exist."""
    parser = Parser(
        prog="sysevent",
        description="Tests what a VMM reads from kvm_run when its guest shuts down, resets or crashes.",
    )
    parser.add_argument("--version", action="version", version=f"sysevent {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen = None
    for verb, row in VERBS.items():
        sub = verbs.add_parser(verb, help=row.line, description=row.line)
        if verb == name:
            add_arguments(sub, verb)
            chosen = sub
    return parser, chosen
