"""sysevent test: the harness's own tests. They need no QEMU, no root and no network."""

from __future__ import annotations

import argparse

from sysevent.cli.engine import become_pytest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own: whatever is given goes to pytest."""
    parser.usage = "sysevent test [PYTEST ARGS]"
    parser.epilog = "Every argument goes to pytest, as in: sysevent test -k wire -x"


def run(args: argparse.Namespace) -> int:
    """Become pytest on tests/, or on the paths among its arguments."""
    # Which words are paths only pytest can tell: so change what it takes when there is none.
    become_pytest("tests", ["-o", "testpaths=tests", *args.pytest_args])
