"""Verdicts as text, one line each; verdicts with one common cause share a line. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import column

# These are about a target as a whole, so that one line can stand for many claims. A FAIL or a DONE is about one claim.
_ABOUT_TARGET = (Status.MISS, Status.ERROR, Status.SKIP)


def noteworthy(run: Iterable[records.Record]) -> list[tuple[Status, str]]:
    """Return the lines for the verdicts of a run that are neither PASS nor SKIP, as grouped_verdicts() does.

    Those that an erratum explains have lines of their own: errata_seen.py.
    """
    verdicts = (record for record in run if isinstance(record, records.Verdict))
    return grouped_verdicts(
        one
        for one in verdicts
        if one.status not in (Status.PASS, Status.SKIP) and not (one.erratum and one.status is Status.DONE)
    )


def grouped_verdicts(verdicts: Iterable[records.Verdict]) -> list[tuple[Status, str]]:
    """Return the lines for some verdicts, each with its status, in the order of their first verdicts."""
    groups: dict[tuple[Status, str, str, str], list[str]] = {}
    for verdict in verdicts:
        reason = (verdict.reason.splitlines() or [""])[0]
        own = "" if verdict.status in _ABOUT_TARGET else verdict.test
        groups.setdefault((verdict.status, column(verdict), reason, own), []).append(verdict.test)
    lines = []
    for (status, place, reason, _), tests in groups.items():
        what = tests[0] if len(tests) == 1 else f"{len(tests)} claims"
        lines.append((status, f"{status} {what} on {place}: {reason}"))
    return lines
