"""run.jsonl: everything a run found, a record a line, appended and flushed as it happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sysevent.errors import UsageError

SCHEMA = 1
Record = dict[str, Any]


class RunLog:
    """Writes records. What was written stays readable whatever happens to this process afterwards."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("x", encoding="utf-8")

    def write(self, kind: str, **fields: Any) -> None:
        """Append a record of a kind: run, target, verdict, incident or end."""
        self._file.write(json.dumps({"record": kind, **fields}, ensure_ascii=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Record]:
    """The records of a run; a last line that was cut off by the end of its writer is left out.

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
            if number == len(lines) > 1:
                return
            raise UsageError(f"{path}, line {number}: not a record: {error}") from error
        if not isinstance(record, dict) or "record" not in record:
            raise UsageError(f"{path}, line {number}: not a record of a run")
        if record["record"] == "run" and record.get("schema", 0) > SCHEMA:
            raise UsageError(f"{path} is of schema {record['schema']}; this sysevent reads up to {SCHEMA}")
        yield record
