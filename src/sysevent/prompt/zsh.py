"""Completion for zsh: specifications of _arguments, a function that comes with zsh."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from sysevent.prompt import words
from sysevent.prompt.verbs import VERBS
from sysevent.prompt.words import Entry, Files, Values

_FILES: Mapping[Files, str] = {"any": "_files", "directories": "_files -/"}
_VERBS = """\
{name}() {{
    # What follows -- is for pytest.
    if (( words[(i)--] < CURRENT )); then _files; return; fi
    local curcontext=$curcontext state
    local -a line verbs
    _arguments -C {options} '1:verb:->verb' '*::argument:->rest' && return
    case $state in
    verb)
        verbs=({verbs})
        _describe -t verbs verb verbs ;;
    rest)
        case $words[1] in
{cases}
        esac ;;
    esac
}}"""
_END = """\
# zsh calls the file as a function if it is in a directory of $fpath; otherwise it has been read with `source`.
if [[ $funcstack[1] == _sysevent ]]; then
    _sysevent "$@"
else
    compdef _sysevent sysevent
fi
"""
_HELP = "'(- *)'{-h,--help}'[show help and exit]'"


def script(claims: Sequence[str]) -> str:
    """Return the script. claims: the names of all claims."""
    lists: dict[Values, str] = {}
    arguments = {path: " ".join(_arguments(path, claims, lists)) for path, _ in words.paths()}
    functions = []
    cases = {}
    for name, verb in VERBS.items():
        if verb.verbs:
            below = {word: f"_arguments {arguments[f'{name} {word}']}" for word in verb.verbs}
            functions.append(_function(f"_sysevent_{name}", verb.verbs, below))
            cases[name] = f"_sysevent_{name}"
        else:
            cases[name] = f"_arguments {arguments[name]}"
    lines = {name: verb.line for name, verb in VERBS.items()}
    functions.append(_function("_sysevent", lines, cases, "'(- *)--version[show the version and exit]'"))
    title = "#compdef sysevent\n# Completion of sysevent for zsh, made by `sysevent completion zsh`."
    return "\n".join([title, *(_list(name, values) for values, name in lists.items()), *functions, _END])


def _function(name: str, verbs: Mapping[str, str], cases: Mapping[str, str], options: str = "") -> str:
    """A function that completes the verbs, and leaves what follows to the command of each."""
    described = " ".join(shlex.quote(f"{verb}:{line}") for verb, line in verbs.items())
    rows = "\n".join(f"        {verb}) {command} ;;" for verb, command in cases.items())
    return _VERBS.format(name=name, options=f"{_HELP} {options}".strip(), verbs=described, cases=rows)


def _list(name: str, values: Values) -> str:
    """A function that adds words as they are; in a specification, colons would have to be escaped."""
    files = _FILES.get(values.files)
    return (
        f"{name}() {{ compadd -- {' '.join(map(shlex.quote, values.words))}{f'; {files}' if files else ''} }}"
    )


def _arguments(path: str, claims: Sequence[str], lists: dict[Values, str]) -> Iterator[str]:
    """The specifications of a verb. lists: functions of words by what they complete, to which new ones are added."""
    yield _HELP
    place = 0
    for entry in words.entries(path, claims)[1:]:
        if entry.values is None:
            yield from (shlex.quote(f"{word}[{_plain(entry.help)}]") for word in entry.spellings)
            continue
        action = _action(entry.values, lists)
        if entry.spellings:
            yield from _option(entry, action)
            continue
        place += 1
        where = "*" if entry.repeatable else f"{place}:" if entry.optional else str(place)
        yield shlex.quote(f"{where}:{entry.metavar.lower()}:{action}")


def _option(entry: Entry, action: str) -> Iterator[str]:
    for word in entry.spellings:
        many = "*" if entry.repeatable else ""
        equals = "=" if word.startswith("--") else ""
        yield shlex.quote(f"{many}{word}{equals}[{_plain(entry.help)}]:{_plain(entry.metavar)}:{action}")


def _action(values: Values, lists: dict[Values, str]) -> str:
    """What completes a value; a blank for nothing, so that only its name is shown."""
    if values.words:
        return lists.setdefault(values, f"_sysevent_list_{len(lists) + 1}")
    return _FILES.get(values.files, " ")


def _plain(text: str) -> str:
    """Text in a specification, where brackets and colons have a meaning."""
    return "".join(f"\\{c}" if c in "[]:\\" else c for c in text)
