"""The results directories of runs in one folder, such as `results/` of the checkout: what they are, and which are old.

A run is old if it is neither one of the newest nor of the last days. It stays nevertheless if --results named its
directory, wherever that is, if it may not have ended, or if it has left guests running. Bisections, repetitions and
measurements have other names, and never count as old.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.errors import UsageError
from sysevent.reading import read_file
from sysevent.report import matrix, records, run_log

NEWEST = 50
DAYS = 7
_DAY = 86400
# As plugin/results.py names them: sorted by name, they are sorted by time.
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:-\d+)?")
# Records that say nothing about the run as a whole, and are most of it.
_LONG = ("observation", "reading")
# The beginnings of records that keep a run from being old, or say that it has ended.
_KEPT, _END = b'{"record": "kept"', b'{"record": "end"'


class Summary(msgspec.Struct, frozen=True):
    """A results directory in a few words."""

    path: Path
    # When the run began: UTC, ISO 8601; "" if it is not known.
    start: str
    # How many verdicts have which status, in one line.
    counts: str
    # "exit code 0", or why there is none.
    end: str
    # Releases of the kernels that answered.
    kernels: tuple[str, ...]
    # Bytes on disk.
    size: int


def summaries(folder: Path) -> Iterator[Summary]:
    """Yield a summary of each run in a folder, the oldest first, those that --results named as well.

    UsageError if the folder cannot be read.
    """
    try:
        found = sorted(path for path in folder.iterdir() if _is_run(path))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    yield from sorted(map(summary, found), key=lambda one: (one.start, one.path))


def summary(results: Path) -> Summary:
    """Return the summary of a results directory; one whose log cannot be read says so."""
    try:
        run = list(run_log.read(run_log.path_in(results), without=_LONG))
    except UsageError as error:
        return Summary(results, "", "", str(error), (), size(results))
    first = next((record for record in run if isinstance(record, records.Run)), None)
    end = next((record for record in reversed(run) if isinstance(record, records.End)), None)
    kernels = dict.fromkeys(record.kernel for record in run if isinstance(record, records.Target))
    return Summary(
        results,
        first.start if first else "",
        matrix.summary(matrix.matrix(run)),
        f"exit code {end.exit}" if end else "no end",
        tuple(kernels),
        size(results),
    )


def size(results: Path) -> int:
    """Return the bytes on disk below a directory; what cannot be read counts as none."""
    total = 0
    for place, _, files in os.walk(results):
        for name in files:
            try:
                total += os.lstat(Path(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def old(folder: Path, now: float, newest: int = NEWEST, days: int = DAYS) -> Iterator[Path]:
    """Yield the old runs in a folder, the oldest first. now is in Unix time."""
    found = sorted(
        path for path in folder.iterdir() if _NAME.fullmatch(path.name) and _is_run(path, empty=True)
    )
    for path in found[: max(0, len(found) - newest)]:
        written = _written(path)
        if now - written > days * _DAY and not is_needed(run_log.path_in(path), now - written):
            yield path


def _is_run(path: Path, *, empty: bool = False) -> bool:
    """Whether a path is a results directory. empty: also one without a log. A link is none."""
    return path.is_dir() and not path.is_symlink() and (empty or run_log.path_in(path).exists())


def _written(results: Path) -> float:
    """When something was last added to a run, in Unix time."""
    places = (results, run_log.path_in(results))
    return max((place.stat().st_mtime for place in places if place.exists()), default=0.0)


def is_needed(log: Path, age: float) -> bool:
    """Return whether the run of a log must stay although it is old; also if that cannot be read.

    age: seconds since something was added to it. The records are not decoded: those of an older version count, too.
    """
    try:
        lines = read_file(log, run_log.LARGEST).splitlines()
        named = any(str(word).startswith("--results") for word in json.loads(lines[0])["argv"])
        kept = any(age < json.loads(line)["limit"] for line in lines if line.startswith(_KEPT))
        ended = any(line.startswith(_END) for line in lines)
    except FileNotFoundError:
        return age < _DAY
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return True
    return named or kept or (age < _DAY and not ended)
