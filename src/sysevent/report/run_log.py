"""run.jsonl: everything a run found, a record a line, appended and flushed as it happens."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sysevent.errors import UsageError

SCHEMA = 1
_BEGIN = '{"record":'  # of every line
# Linux appends each write as a whole (inode lock), whatever process it comes from.
_NEW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
Record = dict[str, Any]


class RunLog:
    """Writes records. What was written stays readable whatever happens to this process afterwards."""

    def __init__(self, path: Path, file: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, _NEW, 0o644) if file is None else file
        self.failed = ""  # why nothing is written any more: half a record may stand at the end

    @classmethod
    def shared(cls, path: Path) -> tuple[RunLog, bool]:
        """A log that other processes may write to as well, and whether this one is the first."""
        try:
            return cls(path), True
        except FileExistsError:
            return cls(path, os.open(path, _NEW & ~(os.O_CREAT | os.O_EXCL))), False

    def write(self, kind: str, **fields: Any) -> None:
        """Append a record of a kind: run, target, verdict, incident or end. Whole, whoever else writes.

        Never raises: what fails first, and ends all writing, is told by `failed`.
        """
        if self.failed:
            return
        line = json.dumps({"record": kind, **fields}, ensure_ascii=True).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            self.failed = (
                f"{self.path} cannot be written any more: {error.strerror}. What is in it stays; make room, or name "
                "another place with --results, and run again"
            )

    def close(self) -> None:
        """Any number of times."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path) -> Iterator[Record]:
    """The records of a run; a line that was cut off, by a full disk or the end of its writer, is left out.

    UsageError when the file is none of ours or of a later schema.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number > 1 and _BEGIN.startswith(line[: len(_BEGIN)]):
                continue
            raise UsageError(f"{path}, line {number}: not a record: {error}") from error
        if not isinstance(record, dict) or "record" not in record:
            raise UsageError(f"{path}, line {number}: not a record of a run")
        if record["record"] == "run" and record.get("schema", 0) > SCHEMA:
            raise UsageError(f"{path} is of schema {record['schema']}; this sysevent reads up to {SCHEMA}")
        yield record
