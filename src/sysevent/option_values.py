"""Checks the values of options by the table of options: what can be known of them before anything is started.

converter() is for argparse and pytest, which call it with one word. check() looks at the disk.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sysevent import nearest
from sysevent.arches import ARCHITECTURES, canonical
from sysevent.errors import UsageError
from sysevent.option_table import FORMATS, VMMS, Option
from sysevent.reading import read_start

_SCHEMES = ("http", "https")
# The schema of kcidb-io.
_ORIGIN = re.compile(r"[a-z0-9_]+")
# Bytes of the largest file that an option can name to be read.
_FILE_MAX = 16 << 20
# Bytes of the largest program; a crosvm with debug information has 300 MB.
_PROGRAM_MAX = 1 << 30
# It is part of paths, here and in guests.
_VMM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}")
# How to get the VMMs that no suite of Debian has.
ORIGINS: Mapping[str, str] = {
    "kvmtool": "clone will/kvmtool from git.kernel.org, which is built here",
    "crosvm": "build it with `cargo build --release` in a clone of google/crosvm",
    "cloud-hypervisor": "build it with `cargo build --release` in a clone of cloud-hypervisor/cloud-hypervisor",
    "firecracker": "build it with `tools/devtool build --release` in a clone of firecracker-microvm/firecracker",
}


def converter(option: Option) -> Callable[[str], Any]:
    """Return what makes a value of a word. It raises argparse's ArgumentTypeError for a word that cannot be one."""

    def convert(word: str) -> Any:
        try:
            return _value(option, word)
        except UsageError as error:
            # Here: the table is imported where argparse is not needed.
            from argparse import ArgumentTypeError

            raise ArgumentTypeError(str(error)) from None

    return convert


def _value(option: Option, word: str) -> Any:
    if not word and not option.free:
        raise UsageError("an empty value: a variable of the shell may not be set")
    if option.choices:
        return one_of(option.choices, word)
    if option.kind == "number":
        return _number(option, word)
    if option.kind == "origin" and not _ORIGIN.fullmatch(word):
        raise UsageError(f"{word}: expected a name of the characters a-z, 0-9 and _")
    return canonical(word) if option.kind == "arch" else word


def _number(option: Option, word: str) -> int:
    try:
        # The length: Python refuses numbers with thousands of digits in other words.
        number = int(word) if len(word) < 20 else option.most + 1
    except ValueError:
        number = option.least - 1
    if not option.least <= number <= option.most:
        raise UsageError(f"{word}: expected a number from {option.least} to {option.most}")
    return number


def one_of(known: Iterable[str], word: str) -> str:
    """Return word if it is known; UsageError with the nearest word and all others if it is not."""
    words = list(known)
    if word not in words:
        raise UsageError(f"{word}{nearest.hint(word, words)}; expected one of {', '.join(words)}")
    return word


def mirror(url: str) -> str:
    """Return the URL of a Debian mirror, without a slash at its end; UsageError if HTTP cannot fetch from it."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urllib.parse.urlsplit(""), None
    if parts.scheme not in _SCHEMES:
        near = nearest.names(parts.scheme, _SCHEMES)
        meant = f"{near[0]}{url[len(parts.scheme) :]}" if near and host else ""
        hint = f", did you mean {meant}?" if meant else ""
        raise UsageError(
            f"--mirror {url}{hint}; expected the URL of a Debian mirror that begins with http:// or https:// "
            "(SYSEVENT_MIRROR counts as well)"
        )
    if not host:
        raise UsageError(f"--mirror {url}: the URL names no host")
    return url.rstrip("/")


def check(options: Iterable[Option], values: Mapping[str, Any]) -> None:
    """Raise UsageError for the first value that cannot be used, as far as this machine shows it at once.

    values holds what was parsed, by Option.name. Nothing is created and nothing is asked over the network.
    """
    for option in options:
        given = values.get(option.name)
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(value, str) and option.kind in _CHECKS:
                name = option.metavar if option.positional else option.flag
                try:
                    _CHECKS[option.kind](name, value)
                # ValueError: of a path with a null character.
                except (OSError, ValueError) as error:
                    why = getattr(error, "strerror", "") or error
                    raise UsageError(f"{name} {value} cannot be used: {why}") from None


def _arch(name: str, value: str) -> None:
    if value not in ARCHITECTURES:
        hint = nearest.hint(value, ARCHITECTURES)
        raise UsageError(f"{name} {value}{hint}; expected one of {', '.join(ARCHITECTURES)}")


def _file(name: str, value: str) -> None:
    path = Path(value).expanduser()
    try:
        read_start(path, 1, _FILE_MAX)
    except OSError as error:
        raise UsageError(f"{name} {value} cannot be read: {error.strerror}{_sibling(path)}") from None


def _directory(name: str, value: str) -> None:
    path = Path(value).expanduser()
    if not path.is_dir():
        what = "not a directory" if path.exists() else f"no such directory{_sibling(path)}"
        raise UsageError(f"{name} {value}: {what}")


def _sibling(path: Path) -> str:
    """A hint at the file beside path that has the nearest name; "" if none has, or if path exists."""
    if path.exists() or not path.parent.is_dir():
        return ""
    near = nearest.names(path.name, [other.name for other in path.parent.iterdir()])
    return f", did you mean {path.with_name(near[0])}?" if near else ""


def _output(name: str, value: str) -> None:
    path = Path(value).expanduser()
    if value == "-":
        return
    if path.is_dir():
        raise UsageError(f"{name} {value} cannot be written: it is a directory")
    if not path.parent.is_dir():
        raise UsageError(f"{name} {value} cannot be written: {path.parent} is not a directory")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{name} {value} cannot be written: permission denied")


def _created(name: str, value: str) -> None:
    parent = Path(value).expanduser().parent
    if parent.exists():
        _output(name, value)
    else:
        _results(name, str(parent))


def _export(name: str, value: str) -> None:
    form, equals, file = value.partition("=")
    if not (equals and file):
        raise UsageError(f"{name} {value}: expected FORMAT=FILE, such as {next(iter(FORMATS))}={value}")
    try:
        one_of(FORMATS, form)
    except UsageError as error:
        raise UsageError(f"{name} {error}") from None
    if file == "-":
        raise UsageError(f"--{form} -: the standard output has the progress of the run; name a file")
    _created(f"--{form}", file)


def _vmm(name: str, value: str) -> None:
    vmm, equals, path = value.partition("=")
    if not equals:
        try:
            one_of(VMMS, vmm)
        except UsageError as error:
            raise UsageError(f"{name} {error}, or NAME=PATH for a program of yours") from None
        if vmm in VMMS and "=PATH" in VMMS[vmm]:
            raise UsageError(
                f"{name} {vmm}: no suite of Debian has it; {ORIGINS[vmm]}, and give it with {VMMS[vmm]}"
            )
    elif not _VMM_NAME.fullmatch(vmm):
        raise UsageError(f"{name} {value}: a name has letters, digits, dots and hyphens, 40 at most")
    elif vmm == "kvmtool":
        _directory(name, path)
    elif vmm in VMMS and "=PATH" not in VMMS[vmm]:
        raise UsageError(f"{name} {value}: {vmm} comes from {VMMS[vmm]}; give your program another name")
    else:
        _program(f"{name} {vmm}=", path)


def _program(name: str, value: str) -> None:
    path = Path(value).expanduser()
    try:
        start = read_start(path, 4, _PROGRAM_MAX)
    except OSError as error:
        raise UsageError(f"{name}{value} cannot be read: {error.strerror}{_sibling(path)}") from None
    if start != b"\x7fELF":
        raise UsageError(f"{name}{value} is not an ELF file; expected a program")


def _results(name: str, value: str) -> None:
    path = Path(value).expanduser().absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is not a directory"
        raise UsageError(f"{name} {value} cannot be used: {there} {why}; name another place")


_CHECKS: Mapping[str, Callable[[str, str], object]] = {
    "arch": _arch,
    "file": _file,
    "directory": _directory,
    "output": _output,
    "created": _created,
    "export": _export,
    "results": _results,
    "vmm": _vmm,
    "url": lambda _, value: mirror(value),
}
