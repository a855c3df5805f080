"""argparse with errors of one line, which name what was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from sysevent import nearest, option_values, options
from sysevent.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations. Those of its sub-verbs are of the same class."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **keywords})

    def error(self, message: str) -> NoReturn:
        """Print one line, without the usage, and exit with 2."""
        self.exit(2, f"{self.prog}: {message}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # Of sub-verbs, the only choices that argparse checks. Its own message has no hint before Python 3.14.
        if action.choices is not None:
            try:
                option_values.one_of(action.choices, str(value))
            except UsageError as error:
                raise argparse.ArgumentError(action, str(error)) from None


def refuse_unknown(parser: argparse.ArgumentParser, verb: str, words: Sequence[str], more: str = "") -> None:
    """Exit as refuse() does if a word is an option of neither a verb nor its sub-verbs.

    Before argparse looks at the words: it would complain about what follows the option.
    """
    known = _flags(parser)
    for word in words[: words.index("--")] if "--" in words else words:
        if word.startswith("--") and word.partition("=")[0] not in known:
            refuse(parser, verb, [word], more)


def refuse(parser: argparse.ArgumentParser, verb: str, unknown: Sequence[str], more: str = "") -> NoReturn:
    """Exit with 2 and one line about words that a verb does not take.

    unknown: the words, as argparse leaves them. more: the end of the line.
    """
    flag = next((word.partition("=")[0] for word in unknown if word.startswith("--")), "")
    parser.error(
        f"unrecognized arguments: {' '.join(unknown)}{_hint(parser, verb, flag) if flag else ''}{more}"
    )


def _hint(parser: argparse.ArgumentParser, verb: str, flag: str) -> str:
    """The nearest option of a verb, or the other verbs that have this option."""
    others = [use for row in options.OPTIONS if row.flag == flag for use in row.uses if use != options.PYTEST]
    if others and verb not in others:
        return f", an option of {', '.join(dict.fromkeys(others))}"
    return nearest.hint(flag, sorted(_flags(parser)))


def _flags(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and of the parsers of its sub-verbs."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*map(_flags, action.choices.values()))
    return found
