"""sysevent test: the harness's own tests. They need no QEMU, no root and no network."""

from __future__ import annotations

import argparse

from sysevent.pytest_process import become_pytest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb has no options of its own: every argument goes to pytest."""
    parser.usage = "sysevent test [PYTEST ARGS]"
    parser.epilog = "Every argument goes to pytest, as in: sysevent test -k wire -x"


def run(args: argparse.Namespace) -> int:
    """Become pytest on tests/, or on the paths among its arguments."""
    # Only pytest can tell which words are paths, so change what it uses if there is none.
    become_pytest("tests", ["-ra", "-o", "testpaths=tests", *args.pytest_args])
