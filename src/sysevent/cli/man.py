"""sysevent man: the manual page, on a terminal as `man` shows it, elsewhere as text for roff."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

from sysevent.prompt import man_page


def run(args: argparse.Namespace) -> int:
    """Show the page, or print its source where no terminal or no man is. Return 0, or the exit code of man."""
    page = man_page.page()
    if sys.stdout.isatty() and shutil.which("man"):
        # - is the standard input, for man-db as well as for mandoc.
        return subprocess.run(["man", "-l", "-"], input=page, text=True, check=False).returncode
    print(page, end="", flush=True)
    return 0
