"""The file of one bisection: what was asked, and every step as it was finished.

JSON lines, appended and on disk before the next step begins. What a dying process leaves behind is at most a
last line that is cut off, which is dropped; so an interrupted bisection goes on with the step it was in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sysevent.bisect.question import Question
from sysevent.bisect.step import Step
from sysevent.errors import UsageError

SCHEMA = 1
NAME = "bisect.jsonl"


class State:
    """One bisection on disk. Open it with begin() or resume()."""

    def __init__(self, folder: Path, question: Question, ends: dict[str, Step], steps: list[Step]) -> None:
        self.folder = folder
        self.question = question
        self.ends = ends  # "good" and "bad", as far as they were checked
        self.steps = steps  # in between, in the order in which they were tried

    @property
    def path(self) -> Path:
        return self.folder / NAME

    @classmethod
    def begin(cls, folder: Path, question: Question) -> State:
        """A new bisection; what an earlier one left in the folder is put aside."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        if path.exists():
            path.replace(folder / f"{NAME}.old")
        state = cls(folder, question, {}, [])
        state._append({"record": "bisection", "schema": SCHEMA, "question": msgspec.to_builtins(question)})
        return state

    @classmethod
    def resume(cls, folder: Path) -> State | None:
        """The bisection in a folder; None when there is none. UsageError when the file is not ours."""
        path = folder / NAME
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        whole, newline, torn = data.rpartition(b"\n")
        records = _records(path, (whole + newline).splitlines())
        if torn:
            with path.open("r+b") as file:
                file.truncate(len(whole) + len(newline))
        first = next(records, None)
        if first is None:
            return None
        try:
            if first["schema"] != SCHEMA:
                raise UsageError(f"{path} is of schema {first['schema']}; --anew begins again")
            state = cls(folder, msgspec.convert(first["question"], Question), {}, [])
            for record in records:
                step = msgspec.convert(record["step"], Step)
                if record["record"] == "end":
                    state.ends[record["end"]] = step
                else:
                    state.steps.append(step)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path} is no bisection of ours ({error}); --anew begins again") from error
        return state

    def add_end(self, end: str, step: Step) -> None:
        """Keep what was found at the end called good or bad."""
        self.ends[end] = step
        self._append({"record": "end", "end": end, "step": msgspec.to_builtins(step)})

    def add(self, step: Step) -> None:
        """Keep a step."""
        self.steps.append(step)
        self._append({"record": "step", "step": msgspec.to_builtins(step)})

    def _append(self, record: dict[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _records(path: Path, lines: Iterable[bytes]) -> Any:
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: not a record: {error}; --anew begins again") from error
        if not isinstance(record, dict):
            raise UsageError(f"{path}, line {number}: not a record; --anew begins again")
        yield record
