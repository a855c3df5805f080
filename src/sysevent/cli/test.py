"""sysevent test: the harness's own tests. They need no QEMU, no root and no network."""

from __future__ import annotations

import argparse

from sysevent.pytest_process import become_pytest


def run(args: argparse.Namespace) -> int:
    """Become pytest on tests/, or on the paths among its arguments."""
    # Only pytest can tell which words are paths, so change what it uses if there is none.
    become_pytest("tests", ["-ra", "-o", "testpaths=tests", *args.pytest_args])
