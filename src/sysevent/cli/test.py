"""sysevent test: the harness's own tests. They need no QEMU, no root and no network."""

from __future__ import annotations

import argparse

from sysevent.checkout import INSTALLED
from sysevent.errors import UsageError
from sysevent.pytest_process import become_pytest


def run(args: argparse.Namespace, *, installed: bool = INSTALLED) -> int:
    """Become pytest on tests/, or on the paths among its arguments. UsageError if this is an installed package."""
    if installed:
        raise UsageError(
            "the tests of this code are not installed: run ./sysevent test in a git checkout, or in an unpacked sdist"
        )
    # Only pytest can tell which words are paths, so change what it uses if there is none.
    become_pytest("tests", ["-ra", "-o", "testpaths=tests", *args.pytest_args])
