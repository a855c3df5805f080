"""The file of one measurement: what is known about each kernel, kept from run to run.

JSON lines, appended and synced one by one, so that an interrupted run loses at most the mutant that it was at. What
is known is named by content: a kernel by its build ID, a mutant by its key and the original's build ID, and verdicts
also by the hash of everything that they depend on.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sysevent.errors import UsageError
from sysevent.reading import read_file
from sysevent.sensitivity.verdicts import Result, Verdicts
from sysevent.text import one_line

NAME = "sensitivity.jsonl"
PEERS = "peers-"
"""How the keys of what programs of others were asked begin: see beside.py."""
# Bytes; a mutant has one kilobyte.
_LARGEST = 256 << 20


class Built(msgspec.Struct, frozen=True, tag_field="record", tag="built"):
    """A mutant was built, or could not be."""

    # Build ID of the original kernel.
    original: str
    # Mutant.key; "" for the original itself.
    mutant: str
    # "" if it cannot be built.
    build_id: str
    # The first error of the compiler.
    error: str = ""


class Asked(msgspec.Struct, frozen=True, tag_field="record", tag="asked"):
    """The original kernel was asked."""

    original: str
    # See ask.asking_key().
    asking: str
    verdicts: Verdicts


class Decided(msgspec.Struct, frozen=True, tag_field="record", tag="decided"):
    """A mutant was asked and judged."""

    original: str
    asking: str
    mutant: str
    result: Result
    seconds: float


Record = Built | Asked | Decided


class State:
    """What a directory knows about mutants."""

    def __init__(self, folder: Path) -> None:
        """Read the file in a directory; UsageError if it cannot be read or is not valid."""
        self._path = folder / NAME
        self._built: dict[tuple[str, str], Built] = {}
        self._asked: dict[tuple[str, str], Verdicts] = {}
        self._decided: dict[tuple[str, str, str], Decided] = {}
        # By original and mutant, whichever claims were asked.
        self._latest: dict[tuple[str, str], Decided] = {}
        for record in _read(self._path):
            self._remember(record)

    def built(self, original: str, mutant: str) -> Built | None:
        """What building a mutant gave; None if it was not tried."""
        return self._built.get((original, mutant))

    def asked(self, original: str, asking: str) -> Verdicts | None:
        """The verdicts on the original kernel; None if it was not asked."""
        return self._asked.get((original, asking))

    def decided(self, original: str, asking: str, mutant: str) -> Decided | None:
        """What became of a mutant; None if it was not asked."""
        return self._decided.get((original, asking, mutant))

    def latest(self, original: str, mutant: str) -> Decided | None:
        """What became of a mutant when it was asked last, whatever it was asked; None if it never was."""
        return self._latest.get((original, mutant))

    def add(self, record: Record) -> None:
        """Store a record. OSError if it cannot be written."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._remember(record)

    def _remember(self, record: Record) -> None:
        if isinstance(record, Built):
            self._built[record.original, record.mutant] = record
        elif isinstance(record, Asked):
            self._asked[record.original, record.asking] = record.verdicts
        else:
            self._decided[record.original, record.asking, record.mutant] = record
            if not record.asking.startswith(PEERS):
                self._latest[record.original, record.mutant] = record


def _read(path: Path) -> list[Record]:
    try:
        data = read_file(path, _LARGEST)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    complete, newline, incomplete = data.rpartition(b"\n")
    if incomplete:
        with path.open("r+b") as file:
            file.truncate(len(complete) + len(newline))
    found: list[Record] = []
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=Record))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(
                f"{path}, line {number}: not a record: {one_line(error)}; name another --results"
            ) from error
    return found
