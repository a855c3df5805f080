"""Reads what a history needs of a run.jsonl, line by line: of 300,000 verdicts no more than one is in memory.

Lines that are longer than LINE_MAX, that were cut off, or that are not such a record are left out, as run_log.read()
does with what an interrupted run leaves behind; a file that is no log at all has no `run` record, which is an error.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sysevent.errors import UsageError
from sysevent.model import Status
from sysevent.reading import read_lines
from sysevent.report import run_log
from sysevent.report.records import SCHEMA

# Bytes of a line; the largest of a real run has 40 KB. Bytes of a file, as in run_log.py or more.
LINE_MAX = 4 << 20
FILE_MAX = 16 << 30


class RunStart(msgspec.Struct, frozen=True, tag_field="record", tag="run"):
    """The beginning of a run: `run` of records.py."""

    id: str
    start: str
    schema: int


class Judged(msgspec.Struct, frozen=True, tag_field="record", tag="verdict"):
    """A verdict without its bytes: `verdict` of records.py."""

    test: str
    target: str
    kernel: str
    abi: str
    native: bool
    status: Status
    seconds: float


class RunEnd(msgspec.Struct, frozen=True, tag_field="record", tag="end"):
    """The end of a run: `end` of records.py."""

    exit: int


Part = RunStart | Judged | RunEnd
# How the lines of these records begin, as RunLog writes them.
_WANTED = tuple(f'{{"record": "{kind}"'.encode() for kind in ("run", "verdict", "end"))


def logs(places: Iterable[Path]) -> list[Path]:
    """Return the logs that are named: a log itself, a results directory, or a directory of results directories.

    UsageError if a place has none. A log that is found twice, as by a symbolic link, is there once.
    """
    found: dict[Path, None] = {}
    for place in places:
        here = [run_log.path_in(place)] if run_log.path_in(place).is_file() else []
        if place.is_file():
            here = [place]
        elif not here and place.is_dir():
            here = sorted(log for each in place.iterdir() if (log := run_log.path_in(each)).is_file())
        if not here:
            raise UsageError(f"{place} has no {run_log.NAME}, nor has a directory in it")
        found.update(dict.fromkeys(log.resolve() for log in here))
    return list(found)


def parts(log: Path) -> Iterator[Part]:
    """Yield the beginning, the verdicts and the end of a run; the beginning is the first.

    UsageError if the file cannot be read, does not begin as a log, or is of a later schema.
    """
    decoder = msgspec.json.Decoder(Part)
    first = True
    for line in _lines(log):
        part = _decoded(decoder, line) if line.startswith(_WANTED) else None
        if first and not isinstance(part, RunStart):
            raise UsageError(f"{log} does not begin with the record of a run")
        if isinstance(part, RunStart) and part.schema > SCHEMA:
            raise UsageError(f"{log}: the run is of schema {part.schema}; this sysevent reads up to {SCHEMA}")
        first = False
        if part is not None:
            yield part


def start(log: Path) -> RunStart:
    """Return the beginning of a run; UsageError as for parts()."""
    for part in parts(log):
        if isinstance(part, RunStart):
            return part
    raise UsageError(f"{log} has no records")


def _decoded(decoder: msgspec.json.Decoder[Part], line: bytes) -> Part | None:
    with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return decoder.decode(line)
    with contextlib.suppress(ValueError, RecursionError, OverflowError):
        # Python's json takes half a surrogate pair, with which it writes the bytes of a path that are not UTF-8.
        part: Part = msgspec.convert(json.loads(line), Part)
        return part
    return None


def _lines(log: Path) -> Iterator[bytes]:
    try:
        yield from read_lines(log, FILE_MAX, LINE_MAX)
    except OSError as error:
        raise UsageError(f"{log} cannot be read: {error.strerror}") from None
