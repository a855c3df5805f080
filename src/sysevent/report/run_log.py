"""Writing and reading run.jsonl: one record per line, appended and flushed as soon as it is known."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

import sysevent
from sysevent.errors import UsageError
from sysevent.reading import read_file
from sysevent.report.records import KINDS, SCHEMA, Record, Run
from sysevent.text import escape

# The name of the file in the results directory of a run.
NAME = "run.jsonl"
# Bytes of a log that is read. A run of three targets writes one megabyte.
LARGEST = 256 << 20
# Characters of what is wrong with a line in a message: it can quote the line.
_SHOWN_MAX = 400
# The first bytes of every line.
_BEGIN = '{"record":'
# Linux appends each write as a whole (inode lock), whatever process it comes from.
_NEW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def path_in(results: Path) -> Path:
    """Return the path of the log in a results directory, whether or not it exists."""
    return results / NAME


def logs_in(results: Path, target: str) -> Path:
    """Return the directory of the logs of a target, by its id, in a results directory, whether or not it exists."""
    return results / target.replace("/", "_")


class RunLog:
    """An open run.jsonl. Records that were written stay readable if the process dies."""

    def __init__(self, path: Path, file: int | None = None) -> None:
        """Create the file at a path, with its directory; with a file descriptor, write to that one.

        FileExistsError if the file exists.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, _NEW, 0o644) if file is None else file
        # Why nothing is written any more: the last line can be half a record. Empty as long as writing works.
        self.failed = ""

    @classmethod
    def shared(cls, path: Path) -> tuple[RunLog, bool]:
        """Return a log that other processes can write to as well, and whether this one created it."""
        try:
            return cls(path), True
        except FileExistsError:
            return cls(path, os.open(path, _NEW & ~(os.O_CREAT | os.O_EXCL))), False

    def write(self, record: Record) -> None:
        """Append a record as one line, which the lines of other processes do not interrupt.

        Never raises: the first error is kept in `failed` and ends all writing.
        """
        if self.failed:
            return
        line = _encoded(record) + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self.failed = (
                f"{self.path} cannot be written any more: {error.strerror}. What is in it stays; make room, or name "
                "another place with --results, and run again"
            )

    def restore(self) -> None:
        """Write the file again if it was removed, with its directory; then `failed` says so. Never raises."""
        if self.failed or self._file < 0:
            return
        try:
            if os.fstat(self._file).st_nlink or self.path.exists():
                return
            content = Path(f"/proc/self/fd/{self._file}").read_bytes()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(content)
            self.failed = (
                f"{self.path} was removed during the run: its records are there again, its logs are lost"
            )
        except OSError as error:
            self.failed = (
                f"{self.path} was removed during the run, and cannot be written again: {error.strerror}"
            )

    def close(self) -> None:
        """Close the file. Further calls do nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _encoded(record: Record) -> bytes:
    """Return a record as JSON in ASCII, with a space after each comma and colon."""
    # msgspec takes two fifths of the time of json, but does not write half a surrogate pair.
    with contextlib.suppress(UnicodeEncodeError):
        line = msgspec.json.format(msgspec.json.encode(record), indent=0)
        if line.isascii():
            return line
    return json.dumps(msgspec.to_builtins(record), ensure_ascii=True).encode()


def beginning(start: datetime, argv: Sequence[str], **versions: str) -> Run:
    """Return the first record of a run of this process. versions: of what takes part, besides sysevent and Python."""
    return Run(
        schema=SCHEMA,
        id=f"{start:%Y%m%dT%H%M%SZ}-{os.getpid()}",
        start=start.isoformat(timespec="seconds"),
        argv=tuple(argv),
        versions={"sysevent": sysevent.__version__, "python": platform.python_version(), **versions},
    )


def read(path: Path, without: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the records of a run.

    without: kinds that are left out, at best without decoding them, such as `observation`.

    Lines that were cut off, by a full disk or the end of their writer, and records of an unknown kind are left out.
    UsageError if the file cannot be read, has a line that is not a record, or is of a later schema.
    """
    lines = _content(path).split("\n")
    if not lines[-1]:
        # Behind the last line's end.
        del lines[-1]
    decoder = msgspec.json.Decoder(Record)
    skipped = tuple(f'{_BEGIN} "{kind}"' for kind in without)
    for number, line in enumerate(lines, 1):
        if line.startswith(skipped):
            continue
        record = _decode(decoder, line) or _read_lenient(line, f"{path}, line {number}", first=number == 1)
        if record is not None:
            yield record


def _decode(decoder: msgspec.json.Decoder[Record], line: str) -> Record | None:
    """Return the record of a line; None if the fast decoder does not take it."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None


def _content(path: Path) -> str:
    """Return the text of a log. UsageError if it is not a regular file, is too long, or is not text."""
    try:
        return read_file(path, LARGEST).decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path} cannot be read: {escape(str(error))}") from None


def _read_lenient(line: str, place: str, *, first: bool) -> Record | None:
    """Return the record of a line that the fast decoder does not take; None if the line is to be left out.

    first: True for the first line of a file, which cannot be one that was cut off. UsageError as for read().
    """
    try:
        fields = json.loads(line, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        if not first and _BEGIN.startswith(line[: len(_BEGIN)]):
            return None
        raise UsageError(f"{place}: not a record: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: not a record: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("record"), str):
        raise UsageError(f"{place}: not a record of a run")
    if fields["record"] not in KINDS:
        return None
    schema = fields.get("schema")
    if fields["record"] == "run" and isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(f"{place}: the run is of schema {schema}; this sysevent reads up to {SCHEMA}")
    try:
        # Python's json takes half a surrogate pair, with which it writes the bytes of a path that are not UTF-8.
        record: Record = msgspec.convert(fields, Record)
    except (ValueError, OverflowError) as error:
        # Of msgspec, and of what it calls for half a surrogate pair or a number that no float can hold.
        if isinstance(schema, int) and 0 <= schema < SCHEMA:
            raise UsageError(
                f"{place}: the run is of schema {schema}, of an older sysevent: run it again"
            ) from None
        raise UsageError(f"{place}: not a record of a run: {escape(str(error)[:_SHOWN_MAX])}") from None
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
