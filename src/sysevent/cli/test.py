"""sysevent test: the harness's own tests, without root or network. Those that boot kernels run if they are named."""

from __future__ import annotations

import argparse
import locale
import os
import sys
from collections.abc import Sequence

from sysevent.checkout import INSTALLED
from sysevent.errors import UsageError
from sysevent.pytest_process import become_pytest


def command_in_utf8(encoding: str, words: Sequence[str], *, in_utf8: bool) -> list[str]:
    """Return the command that starts this process again in UTF-8, in which the files of the tests are; [] if it is.

    encoding: of the locale. words: with which the process was started. Programs that tests start have the locale.
    """
    if in_utf8 or "utf" in encoding.lower():
        return []
    return [sys.executable, "-X", "utf8", *words[1:]]


def run(args: argparse.Namespace, *, installed: bool = INSTALLED) -> int:
    """Become pytest on tests/, or on the paths among its arguments. UsageError if this is an installed package."""
    if installed:
        raise UsageError(
            "the tests of this code are not installed: run ./sysevent test in a git checkout, or in an unpacked sdist"
        )
    if again := command_in_utf8(locale.getencoding(), sys.orig_argv, in_utf8=bool(sys.flags.utf8_mode)):
        os.execv(again[0], again)
    # Only pytest can tell which words are paths, so change what it uses if there is none.
    become_pytest("tests", ["-ra", "-o", "testpaths=tests", *args.pytest_args])
