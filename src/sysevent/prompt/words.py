"""What can follow on a command line: the options of each verb and their values, for completion and the man page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from sysevent import options
from sysevent.arches import ABIS, ARCHITECTURES, NATIVE
from sysevent.images import track_names
from sysevent.option_table import Kind, Option
from sysevent.prompt.verbs import VERBS
from sysevent.targets import names as of_targets

Files = Literal["", "any", "directories"]
"""Which names of files a value can be: none, any, or those of directories."""


class Values(NamedTuple):
    """What the value of an option, or a positional argument, can be, as far as it is known."""

    # Words that it can be.
    words: tuple[str, ...] = ()
    # Besides these.
    files: Files = ""


class Entry(NamedTuple):
    """An option, or a positional argument, of one verb."""

    # Of an option the words that select it; of a positional argument none.
    spellings: tuple[str, ...]
    # The name of the value in --help; "" for a flag.
    metavar: str
    help: str
    # None for a flag.
    values: Values | None
    # True if it can be given more than once.
    repeatable: bool = False
    # True for a positional argument that may be left out.
    optional: bool = False


_HELP = Entry(("-h", "--help"), "", "show help and exit", None)
_FILES: Mapping[Kind, Files] = {
    "file": "any",
    "output": "any",
    "created": "any",
    "path": "any",
    "directory": "directories",
    "results": "directories",
}


def paths() -> Iterator[tuple[str, str]]:
    """Give every verb as it is typed, such as "images fetch", with its line in --help; without verbs above others."""
    for name, verb in VERBS.items():
        if not verb.verbs:
            yield name, verb.line
        for below, line in verb.verbs.items():
            yield f"{name} {below}", line


def entries(path: str, claims: Sequence[str] = ()) -> list[Entry]:
    """Return the options of a verb in the order of its --help, then its positional arguments. claims: their names."""
    verb = path.partition(" ")[0]
    rows = [(row, name) for name in dict.fromkeys((verb, path)) for row in options.of(name)]
    found = [_entry(row, name, claims) for row, name in rows]
    return [_HELP, *(one for one in found if one.spellings), *(one for one in found if not one.spellings)]


def _entry(row: Option, verb: str, claims: Sequence[str]) -> Entry:
    text = options.keywords(row, verb)["help"]
    values = None if row.kind == "flag" else _values(row, verb, claims)
    many = row.nargs == "*" if row.positional else row.many(verb)
    metavar = "" if values is None else row.metavar or "|".join(row.choices)
    return Entry(() if row.positional else row.spellings, metavar, text, values, many, bool(row.nargs))


def _values(row: Option, verb: str, claims: Sequence[str]) -> Values:
    if row.choices:
        return Values(row.choices)
    if row.kind == "arch":
        return Values(tuple(ARCHITECTURES))
    if row.kind == "abi":
        return Values(tuple(ABIS) if verb == "layout" else (NATIVE, *_vmm_abis()))
    if row.kind == "target":
        return Values(tuple(of_targets.builtin()))
    if row.kind == "claim":
        return Values(tuple(claims))
    if row.kind == "kernel":
        return _kernels(verb.partition(" ")[0])
    if row.kind == "vmm":
        return Values(tuple(options.VMMS))
    if row.kind == "export":
        return Values(tuple(f"{name}=" for name in options.FORMATS))
    return Values(files=_FILES.get(row.kind, ""))


def _vmm_abis() -> Iterator[str]:
    return (abi.name for arch in ARCHITECTURES.values() for abi in arch.abis if abi.can_use_kvm)


def _kernels(verb: str) -> Values:
    tracks = track_names.load()
    if verb == "images":
        return Values(tracks)
    return Values((*tracks, "machine") if verb == "layout" else tracks, files="any")
