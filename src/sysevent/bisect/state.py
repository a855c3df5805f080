"""The file of one bisection: its question, and every step that was finished.

JSON lines, each with its own hash, appended and synced to disk before the next step begins. A process that is killed
leaves at most one incomplete last line, which is dropped, so that an interrupted bisection resumes with the step it
was in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sysevent.bisect.question import Question
from sysevent.bisect.step import Step
from sysevent.errors import UsageError
from sysevent.reading import read_file

SCHEMA = 1
NAME = "bisect.jsonl"
# Bytes of a file, as of a run's log.
_LARGEST = 256 << 20
# The key of a record's hash.
_HASH = "sha256"


class State:
    """One bisection on disk, opened with begin() or resume()."""

    def __init__(self, folder: Path, question: Question, ends: dict[str, Step], steps: list[Step]) -> None:
        self.folder = folder
        self.question = question
        # By "good" and "bad", as far as they were tried.
        self.ends = ends
        # The revisions in between, in the order in which they were tried.
        self.steps = steps

    @property
    def path(self) -> Path:
        return self.folder / NAME

    @classmethod
    def begin(cls, folder: Path, question: Question) -> State:
        """A new bisection in a folder; the file of an earlier one there is renamed to NAME.old."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        if path.exists():
            path.replace(folder / f"{NAME}.old")
        state = cls(folder, question, {}, [])
        state._append({"record": "bisection", "schema": SCHEMA, "question": msgspec.to_builtins(question)})
        return state

    @classmethod
    def resume(cls, folder: Path) -> State | None:
        """The bisection in a folder; None if there is none. UsageError if its file cannot be read or is not valid."""
        path = folder / NAME
        try:
            data = read_file(path, _LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        complete, newline, incomplete = data.rpartition(b"\n")
        records = _records(path, (complete + newline).splitlines())
        if incomplete:
            with path.open("r+b") as file:
                file.truncate(len(complete) + len(newline))
        first = next(records, None)
        if first is None:
            return None
        try:
            if first["schema"] != SCHEMA:
                raise UsageError(
                    f"{path} has schema {first['schema']}, not {SCHEMA}; use --anew to begin again"
                )
            state = cls(folder, msgspec.convert(first["question"], Question), {}, [])
            for record in records:
                step = msgspec.convert(record["step"], Step)
                if record["record"] == "end":
                    state.ends[record["end"]] = step
                else:
                    state.steps.append(step)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path} is not a valid bisection file ({error}); use --anew to begin again"
            ) from error
        return state

    def add_end(self, end: str, step: Step) -> None:
        """Store the step of an end, which is "good" or "bad"."""
        self.ends[end] = step
        self._append({"record": "end", "end": end, "step": msgspec.to_builtins(step)})

    def add(self, step: Step) -> None:
        """Store the step of a revision in between."""
        self.steps.append(step)
        self._append({"record": "step", "step": msgspec.to_builtins(step)})

    def _append(self, record: dict[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(json.dumps(record | {_HASH: _hash(record)}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _hash(record: dict[str, Any]) -> str:
    """The SHA-256 of a record without its hash, as it is written."""
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _records(path: Path, lines: Iterable[bytes]) -> Any:
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{path}, line {number}: not a record: {error}; use --anew to begin again"
            ) from error
        if not isinstance(record, dict):
            raise UsageError(f"{path}, line {number}: not a record; use --anew to begin again")
        # An earlier version wrote none.
        stored = record.pop(_HASH, None)
        if stored is not None and stored != _hash(record):
            raise UsageError(f"{path}, line {number} is damaged; use --anew to begin again")
        yield record
