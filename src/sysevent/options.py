"""Feeds argparse and pytest from the table of options, and spells them as words of a command line.

No I/O, except that absolute() looks whether a file exists.

`sysevent run` spells what it hands on to pytest with spelled(); what documents or completes a command line can be made
from the table, too.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sysevent import option_values
from sysevent.option_table import (
    DEFAULT_BOOTS,
    FORMATS,
    GROUPS,
    OPTIONS,
    PATHS,
    PYTEST,
    RELAYING,
    VMMS,
    Option,
    Use,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = [
    "DEFAULT_BOOTS",
    "FORMATS",
    "GROUPS",
    "OPTIONS",
    "PYTEST",
    "RELAYING",
    "VMMS",
    "Option",
    "Use",
    "absolute",
    "arguments",
    "feed",
    "formats",
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
    if option.nargs:
        found["nargs"] = option.nargs
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
    spellings = {option.flag: option.spellings for option in of(verb)}
    for heading, flags in GROUPS.get(verb, {}).items():
        group = parser.add_argument_group(heading)
        for flag in flags:
            group.add_argument(*spellings[flag], **known.pop(flag))
    for flag, found in known.items():
        parser.add_argument(*spellings[flag], **found)


def spelled(
    values: Mapping[str, Any], place: Callable[[Option, str], str], *, again: bool = False
) -> list[str]:
    """The options given to pytest, or to a verb that relays them, as words of a command line.

    values holds what was parsed, by Option.name; options that are absent, None or False are left out. place is given
    each value that names something on disk, and returns what the word holds. again: leave out what cannot change a
    verdict (Option.again). Every word is --flag=value, so that a value that starts with a dash stays one.
    """
    words = []
    for option in of(PYTEST):
        given = values.get(option.name)
        if (again and not option.again) or given is None or given is False:
            continue
        for value in given if isinstance(given, list) else [given]:
            if option.kind in PATHS:
                value = place(option, value)
            words.append(option.flag if option.kind == "flag" else f"{option.flag}={value}")
    return words


def formats(values: Mapping[str, Any]) -> list[str]:
    """The formats of reports that were asked for, as --export takes them: "json=FILE"."""
    named = [f"{name}={values[name]}" for name in FORMATS if values.get(name) is not None]
    return [*named, *(values.get("export") or ())]


def absolute(option: Option, value: str, here: Path) -> str:
    """A path, tree:PATH, FORMAT=PATH or NAME=PATH, made absolute against here; names of tracks and VMMs stay.

    A command of the shell is run there.
    """
    if option.kind == "command":
        return f"cd {shlex.quote(str(here))} || exit\n{value}"
    if option.kind == "export":
        name, equals, path = value.partition("=")
        return f"{name}{equals}{here / Path(path).expanduser()}" if path not in ("", "-") else value
    if option.kind == "vmm":
        name, equals, path = value.partition("=")
        return f"{name}={here / Path(path).expanduser()}" if equals else value
    if option.kind == "kernel":
        scheme, colon, path = value.partition(":")
        if colon and scheme == "tree":
            return f"tree:{here / Path(path).expanduser()}"
        if colon and not (here / value).exists():
            return value
    return str(here / Path(value).expanduser())
