"""Feeds argparse and pytest from the table of options, and spells them as words of a command line. No I/O.

`sysevent run` spells what it hands on to pytest with spelled(); what documents or completes a command line can be made
from the table, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sysevent import option_values
from sysevent.option_table import DEFAULT_BOOTS, GROUPS, OPTIONS, PATHS, PYTEST, RELAYING, Option, Use

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = [
    "DEFAULT_BOOTS",
    "GROUPS",
    "OPTIONS",
    "PYTEST",
    "RELAYING",
    "Option",
    "Use",
    "arguments",
    "feed",
    "feed_formats",
    "format_name",
    "keywords",
    "of",
    "spelled",
]


def of(verb: str) -> list[Option]:
    """The options and positional arguments of a verb, in the order of the table."""
    return [option for option in OPTIONS if verb in option.uses]


def arguments(verb: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The flag and keyword arguments of argparse's add_argument, which pytest's addoption takes as well."""
    for option in of(verb):
        yield option.flag, keywords(option, verb)


def keywords(option: Option, verb: str) -> dict[str, Any]:
    """What argparse is given for an option of a verb. A verb that relays it leaves defaults to pytest."""
    use = option.uses[verb]
    text = use.help or option.help
    if option.kind == "flag":
        return {"action": "store_true", "help": text}
    found: dict[str, Any] = {"type": option_values.converter(option)}
    if option.metavar or option.choices:
        found["metavar"] = option.metavar or f"{{{','.join(option.choices)}}}"
    if option.count:
        found["nargs"] = option.count
    relayed = verb in RELAYING
    if option.many(verb):
        return {**found, "action": "append", "default": [], "help": f"{text} (repeatable)"}
    default = option.default if use.default is None else use.default
    if default is None:
        return {**found, "help": text}
    shown = " ".join(default) if isinstance(default, tuple) else default
    found["help"] = f"{text} (default: {shown})"
    if relayed:
        return found
    return {**found, "default": list(default) if isinstance(default, tuple) else default}


def feed(parser: ArgumentParser, verb: str) -> None:
    """Add the options and positional arguments of a verb to its parser, under the headings of GROUPS."""
    known = dict(arguments(verb))
    for heading, flags in GROUPS.get(verb, {}).items():
        group = parser.add_argument_group(heading)
        for flag in flags:
            group.add_argument(flag, **known.pop(flag))
    for flag, found in known.items():
        parser.add_argument(flag, **found)


def feed_formats(parser: ArgumentParser, contents: Mapping[str, str]) -> None:
    """Add --NAME FILE for each output format; contents says in words what a format is, by its name."""
    for name, content in contents.items():
        text = f"write {content} to FILE; - is the standard output"
        parser.add_argument(f"--{name}", metavar="FILE", dest=format_name(name), help=text)


def format_name(name: str) -> str:
    """The attribute that holds the file of an output format after parsing."""
    return f"{name}_file"


def spelled(
    values: Mapping[str, Any], place: Callable[[Option, str], str], *, judging: bool = False
) -> list[str]:
    """The options given to pytest, or to a verb that relays them, as words of a command line.

    values holds what was parsed, by Option.name; options that are absent, None or False are left out. place is given
    each value that names something on disk, and returns what the word holds. judging: only what a command must
    repeat to get the same verdict. Every word is --flag=value, so that a value that starts with a dash stays one.
    """
    words = []
    for option in of(PYTEST):
        given = values.get(option.name)
        if (judging and not option.judges) or given is None or given is False:
            continue
        for value in given if isinstance(given, list) else [given]:
            if option.kind in PATHS:
                value = place(option, value)
            words.append(option.flag if option.kind == "flag" else f"{option.flag}={value}")
    return words
