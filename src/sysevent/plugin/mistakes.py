"""Finds options of pytest and of the plugin that select nothing, and proposes what was probably meant."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from sysevent import nearest
from sysevent.checkout import SUITES
from sysevent.errors import UsageError
from sysevent.targets.abis import check_abis
from sysevent.targets.spec import TargetSpec
from sysevent.text import escape

# A word of an expression of -k that can be a part of a claim's name.
_WORD = re.compile(r"[\w.:]+")
_OPERATORS = ("and", "or", "not")
# Names of claims that are proposed.
_PROPOSED = 3


def check_places(required: Sequence[str], abis: Sequence[str], chosen: Sequence[TargetSpec]) -> None:
    """Raise UsageError for a glob of --require, or an ABI of --abi, that fits none of the chosen targets."""
    names = [name for row in chosen for name in dict.fromkeys((row.id, row.name))]
    for glob in required:
        if not any(fnmatch.fnmatchcase(name, glob) for name in names):
            hint = nearest.hint(glob, names)
            raise UsageError(
                f"--require {glob} matches none of the selected targets{hint}; they are {', '.join(names)}"
            )
    check_abis(abis, chosen)


def asks_suites(config: pytest.Config) -> bool:
    """Return whether tests of suites/ are asked for, not only others, such as those of this code."""
    return any(Path(word.partition("::")[0]).resolve().is_relative_to(SUITES) for word in config.args)


def check_expressions(config: pytest.Config, left: int) -> None:
    """Raise pytest.UsageError if no test is left and -k or -m was given; exit code 4, instead of pytest's 5.

    left: the number of tests that are selected. A worker of pytest-xdist leaves it to pytest.
    """
    given = [(flag, config.getoption(name)) for flag, name in (("-k", "keyword"), ("-m", "markexpr"))]
    asked = " ".join(f"{flag} {value!r}" for flag, value in given if value)
    if left or not asked or hasattr(config, "workerinput"):
        return
    hint = ""
    if asks_suites(config):
        hint = f"{_near(given[0][1] or '')}; `sysevent list` prints the claims"
    raise pytest.UsageError(escape(f"{asked} selects no test{hint}"))


def _near(expression: str) -> str:
    """The names of claims that resemble those words of an expression of -k that are in the name of none."""
    # Here: only for the message.
    from sysevent.contract import catalogue

    known = [claim.name for claim in catalogue.load()]
    words = [word for word in _WORD.findall(expression) if word not in _OPERATORS]
    unknown = [word for word in words if not any(word in name for name in known)]
    near = [name for word in unknown for name in nearest.names(word, known, _PROPOSED, tails=True)]
    return f", did you mean {' or '.join(near[:_PROPOSED])}?" if near else ""
