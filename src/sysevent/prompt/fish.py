"""Completion for fish, 3.0 or later: a `complete` command for each option and value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sysevent.prompt import words
from sysevent.prompt.verbs import VERBS
from sysevent.prompt.words import Entry, Values

_START = """\
# Completion of sysevent for fish, made by `sysevent completion fish`.
# Whether the verbs on the command line are these; what follows -- is for pytest.
function __sysevent_at
    set -l typed (commandline -opc)
    contains -- -- $typed; and return 1
    set -e typed[1]
    set -l count (count $argv)
    test (count $typed) -ge $count; or return 1
    test $count -eq 0; and test (count $typed) -gt 0; and return 1
    test $count -eq 0; or test "$typed[1..$count]" = "$argv"
end
# Whether the next word is a verb below this one.
function __sysevent_below
    __sysevent_at $argv; and test (count (commandline -opc)) -eq 2
end
complete -c sysevent -f
"""


def script(claims: Sequence[str]) -> str:
    """Return the script. claims: the names of all claims."""
    return _START + "\n".join([*_verbs(), *_options(claims), ""])


def _verbs() -> Iterator[str]:
    yield "complete -c sysevent -n __sysevent_at -s h -l help -d 'show help and exit'"
    yield "complete -c sysevent -n __sysevent_at -l version -d 'show the version and exit'"
    for name, verb in VERBS.items():
        yield f"complete -c sysevent -n __sysevent_at -a {name} -d {_quoted(verb.line)}"
        for below, line in verb.verbs.items():
            yield f"complete -c sysevent -n '__sysevent_below {name}' -a {below} -d {_quoted(line)}"


def _options(claims: Sequence[str]) -> Iterator[str]:
    for path, _ in words.paths():
        for entry in words.entries(path, claims):
            selected = " ".join(map(_selected, entry.spellings))
            value = "" if entry.values is None else _value(entry, entry.values)
            text = f" -d {_quoted(entry.help)}"
            yield f"complete -c sysevent -n '__sysevent_at {path}' {selected}{value}{text}".replace("  ", " ")


def _selected(word: str) -> str:
    return f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}"


def _value(entry: Entry, values: Values) -> str:
    """What completes a value: an option requires one, and a positional argument is no option's."""
    known = list(values.words)
    if values.files == "directories":
        known.append("(__fish_complete_directories)")
    given = f" -a {_quoted(' '.join(known))}" if known else ""
    if not entry.spellings:
        return f" {'-F' if values.files == 'any' else '-f'}{given}"
    return f" {'-r -F' if values.files == 'any' else '-x'}{given}"


def _quoted(text: str) -> str:
    """Text as one word of fish, where a single quote can be escaped between single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
