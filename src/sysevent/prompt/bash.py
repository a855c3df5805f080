"""Completion for bash, 4.0 or later: a function that bash calls, and whose words are all in it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from sysevent.prompt import words
from sysevent.prompt.verbs import VERBS
from sysevent.prompt.words import Entry, Values

_FUNCTION = r"""
# Splits at blanks, because bash splits words at : and = as well.
_sysevent() {
    local line=${COMP_LINE:0:COMP_POINT} word verb= path= after= place=0 flag= head=
    local words files typed known
    read -ra typed <<<"$line"
    [[ $line == *[[:blank:]] ]] && typed+=('')
    local current=${typed[-1]}
    for word in "${typed[@]:1:${#typed[@]}-2}"; do
        if [[ -n $flag ]]; then
            flag=
        elif [[ $word == -- ]]; then
            # What follows is for pytest.
            return
        elif [[ $word == -* ]]; then
            [[ $word != *=* ]] && _sysevent_values "$path" "$word" && flag=$word
        elif [[ -z $verb ]]; then
            verb=$word path=$word
        elif _sysevent_verbs "$path"; then
            path="$path $word"
        else
            place=$((place + 1))
        fi
    done
    words= files=
    if [[ -n $flag ]]; then
        _sysevent_values "$path" "$flag"
    elif [[ $current == --*=* ]]; then
        _sysevent_values "$path" "${current%%=*}" || return
        [[ $COMP_WORDBREAKS == *=* ]] || head=${current%%=*}=
        current=${current#*=}
    elif [[ $current == -* ]]; then
        _sysevent_options "$path"
    elif ! _sysevent_verbs "$path"; then
        _sysevent_values "$path" "$place" || _sysevent_values "$path" '*'
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    # bash replaces what is behind the last colon only.
    known=${current%"${current##*:}"}
    [[ $COMP_WORDBREAKS == *:* ]] || known=
    COMPREPLY=("${COMPREPLY[@]/#"$known"/$head}")
    [[ ${#COMPREPLY[@]} -gt 0 && -n ${COMPREPLY[0]} ]] || COMPREPLY=()
    case $files in
    any) compopt -o default ;;
    directories) compopt -o dirnames ;;
    esac 2>/dev/null
    return 0
}
complete -F _sysevent sysevent
"""


def script(claims: Sequence[str]) -> str:
    """Return the script. claims: the names of all claims."""
    return "\n".join(
        [
            "# Completion of sysevent for bash, made by `sysevent completion bash`.",
            *_function("verbs", '"$1"', _verbs()),
            *_function("options", '"$1"', _options()),
            "# Sets the values of an option or of a positional argument, by its place; fails for a flag.",
            *_function("values", '"$1 $2"', _values(claims), otherwise="return 1"),
            _FUNCTION.strip("\n"),
            "",
        ]
    )


def _function(
    name: str, word: str, cases: Iterator[tuple[str, str]], otherwise: str = "return 1"
) -> list[str]:
    rows = [f"    {pattern}) {action} ;;" for pattern, action in cases]
    return [f"_sysevent_{name}() {{", f"    case {word} in", *rows, f"    *) {otherwise} ;;", "    esac", "}"]


def _verbs() -> Iterator[tuple[str, str]]:
    yield "''", f"words={shlex.quote(' '.join(VERBS))}"
    for name, verb in VERBS.items():
        if verb.verbs:
            yield name, f"words={shlex.quote(' '.join(verb.verbs))}"


def _options() -> Iterator[tuple[str, str]]:
    for path, _ in words.paths():
        yield shlex.quote(path), f"words={shlex.quote(' '.join(_spellings(words.entries(path))))}"
    yield "*", "words='--help --version'"


def _spellings(entries: Sequence[Entry]) -> list[str]:
    return [one for entry in entries for one in entry.spellings]


def _values(claims: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The cases of all values: those that are the same together."""
    found: dict[Values, list[str]] = {}
    for path, _ in words.paths():
        place = 0
        for entry in words.entries(path, claims):
            if entry.values is None:
                continue
            keys = list(entry.spellings)
            if not keys:
                keys = ["*" if entry.repeatable else str(place)]
                place += 1
            found.setdefault(entry.values, []).extend(f"{path} {key}" for key in keys)
    for values, keys in found.items():
        pattern = "|".join(map(shlex.quote, keys))
        yield pattern, f"words={shlex.quote(' '.join(values.words))} files={values.files}"
