"""The command that runs the test of a verdict again. No I/O."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Iterator, Sequence

from sysevent import options
from sysevent.option_table import PYTEST, Option

_OPTIONS = {option.flag: option for option in options.of(PYTEST)}
# The word of a run's command that is not a selection.
_REQUIRE = "--require"


def command(argv: Sequence[str], nodeid: str, target: str) -> str:
    """Return the command line, for the root of a checkout, from that of the run: `argv` of its record.

    It has every option of the run that can change a verdict, except --require of other targets.
    """
    words = [
        word
        for option, value in _given(argv)
        if _counts(option, value, target)
        for word in _word(option, value)
    ]
    return shlex.join(["./sysevent", "run", *words, "--", nodeid])


def _counts(option: Option, value: str, target: str) -> bool:
    return option.again and (option.flag != _REQUIRE or fnmatch.fnmatchcase(target, value))


def _word(option: Option, value: str) -> Iterator[str]:
    yield option.flag if option.kind == "flag" else f"{option.flag}={value}"


def _given(argv: Sequence[str]) -> Iterator[tuple[Option, str]]:
    """Yield the options of this program on a command line of pytest, each with its value."""
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        option = _OPTIONS.get(flag)
        if option is None:
            continue
        if option.kind != "flag" and not equals:
            value = next(words, "")
        yield option, value
