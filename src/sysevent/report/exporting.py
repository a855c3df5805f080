"""Writes the formats of reports to files: all that can be written, whatever becomes of the others."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sysevent import tracebacks
from sysevent.errors import UsageError
from sysevent.report.records import Record
from sysevent.report.renderers import RENDERERS, Renderer

STDOUT = "-"
# Errors of a directory in which no file can be made or renamed, although a file in it can be written: as of one that is
# mounted into a container by itself.
_IN_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)


class Export(msgspec.Struct, frozen=True):
    """One format of a report, and the file that it goes to; - is the standard output."""

    name: str
    file: str
    render: Callable[[Sequence[Record]], str]

    @property
    def option(self) -> str:
        """The words that ask for it."""
        return shlex.join([f"--{self.name}", self.file])


def asked(
    words: Iterable[str], choices: Mapping[str, Any], renderers: Iterable[Renderer] = RENDERERS
) -> list[Export]:
    """Return what is asked for by words such as json=FILE, whose first part is the name of a format.

    choices: options of single formats, by their names after parsing.
    UsageError if two of them are to go to one file, or both to the standard output.
    """
    known = {row.name: _maker(row, choices) for row in renderers}
    named = [word.partition("=") for word in words]
    found = [Export(name, file, known[name]) for name, _, file in named]
    places: dict[object, Export] = {}
    for export in found:
        place = export.file if export.file == STDOUT else _real(Path(export.file).expanduser())
        other = places.setdefault(place, export)
        if other is not export:
            raise UsageError(f"{other.option} and {export.option}: each format needs a place of its own")
    return found


def _maker(row: Renderer, choices: Mapping[str, Any]) -> Callable[[Sequence[Record]], str]:
    """What makes a format with the options that were given for it."""
    given = {name: choices[name] for name in row.takes if choices.get(name) is not None}
    return partial(row.render, **given) if given else row.render


def write(exports: Iterable[Export], run: Sequence[Record]) -> list[tuple[Export, str]]:
    """Write each format of a run; return those that could not be made or written, each with the reason.

    What goes to the standard output comes last: its reader may have ended. Then OSError is raised.
    """
    failed = []
    for export in sorted(exports, key=lambda export: export.file == STDOUT):
        try:
            text = export.render(run)
        except Exception as error:
            failed.append((export, f"an error of sysevent itself: {tracebacks.with_frames(error)}"))
            continue
        if export.file == STDOUT:
            sys.stdout.write(text)
            continue
        try:
            # A path can have bytes that are not UTF-8.
            put(Path(export.file).expanduser(), text.encode(errors="backslashreplace"))
        except (OSError, MemoryError) as error:
            failed.append((export, f"{export.file}: {getattr(error, 'strerror', None) or error}"))
    return failed


def remove(exports: Iterable[Export]) -> None:
    """Remove what an earlier run has written to the files; without effect where that is not possible."""
    for export in exports:
        path = Path(export.file).expanduser()
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.unlink()


def put(path: Path, data: bytes) -> None:
    """Write a file in one step: its readers see the old content or the new one. OSError if it cannot be written.

    Its directory is created. A link stays one. A device or a pipe is written to, and so is a file in a directory that
    cannot be written to.
    """
    path = _real(path)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".sysevent-{secrets.token_hex(8)}")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(file)
            if path.exists():
                draft.chmod(path.stat().st_mode & 0o7777)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno not in _IN_PLACE or not path.exists():
            raise
        path.write_bytes(data)


def _real(path: Path) -> Path:
    """The path of a file behind all links. Unlike Path.resolve(), it raises nothing for a loop of links."""
    return Path(os.path.realpath(path))
