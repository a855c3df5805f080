"""Verdicts in words, a line each; many that one thing has caused share a line."""

from __future__ import annotations

from collections.abc import Iterable

from sysevent.model import Status
from sysevent.report.matrix import column
from sysevent.report.run_log import Record

# What keeps claims from being judged is seldom about one of them; a FAIL or a note always is.
_OF_THE_TARGET = (Status.MISS, Status.ERROR, Status.SKIP)


def told(verdicts: Iterable[Record]) -> list[tuple[Status, str]]:
    """The status and the line of each verdict, in the order of the first of each line."""
    groups: dict[tuple[Status, str, str, str], list[str]] = {}
    for record in verdicts:
        status, reason = Status(record["status"]), (record["reason"].splitlines() or [""])[0]
        own = "" if status in _OF_THE_TARGET else record["test"]
        groups.setdefault((status, column(record), reason, own), []).append(record["test"])
    return [
        (status, f"{status} {tests[0] if len(tests) == 1 else f'{len(tests)} claims'} on {place}: {reason}")
        for (status, place, reason, _), tests in groups.items()
    ]
