"""sysevent completion: prints what makes bash, zsh or fish complete the command line."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from sysevent.arches import ARCHITECTURES
from sysevent.contract import catalogue
from sysevent.prompt import bash, fish, zsh

# By the choices of the option table. Scripts of our own: shtab writes none for fish, and argcomplete starts Python at
# every TAB, which takes longer than the whole answer may.
_SCRIPTS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}


def run(args: argparse.Namespace) -> int:
    """Print the script of a shell, with the names of all claims. Return 0."""
    print(_SCRIPTS[args.shell](claim_names([claim.name for claim in catalogue.load()])), end="", flush=True)
    return 0


def claim_names(names: Sequence[str]) -> list[str]:
    """Return the names of claims, and behind them what is left of each without its architecture, if one claim has it.

    Both find a claim; the second is what people remember.
    """
    ends = Counter(end for name in names for arch, _, end in [name.partition(".")] if arch in ARCHITECTURES)
    return [*names, *(end for end, count in ends.items() if count == 1)]
