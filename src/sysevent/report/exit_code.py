"""The exit code that the records of a run stand for, at its end and whenever it is rendered again. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import last_verdicts
from sysevent.report.merging import split
from sysevent.report.records import Record

# pytest's exit codes.
PASSED, FAILED, INTERRUPTED, BROKEN, MISUSED, NOTHING = range(6)
# Of several runs, the first of these that one of them has. A code that is not among them comes after FAILED.
_WORST = (FAILED, BROKEN, MISUSED, INTERRUPTED, NOTHING, PASSED)

_FAILING = (Status.FAIL, Status.ERROR, Status.MISS)
_JUDGED = (Status.PASS, Status.DONE, Status.FAIL)


def judged(verdicts: Iterable[records.Verdict]) -> bool:
    """Return whether any claim was judged."""
    return any(verdict.status in _JUDGED for verdict in verdicts)


def of_verdicts(verdicts: Iterable[records.Verdict]) -> int:
    """Return the exit code of a run that ended by itself, from the verdicts that count.

    0 only if a claim was judged and none is FAIL, ERROR or MISS; 1 if one is; 5 if no claim was judged.
    """
    found = list(verdicts)
    if any(verdict.status in _FAILING for verdict in found):
        return FAILED
    return PASSED if judged(found) else NOTHING


def of(run: Sequence[Record]) -> int:
    """Return the exit code of one run, or the worst one of several merged runs.

    5 only if none of them has judged anything.
    """
    worst = min(map(_of_one, split(run)), key=_rank, default=NOTHING)
    if worst not in (PASSED, NOTHING):
        return worst
    found = of_verdicts(last_verdicts(run).values())
    # Programs of others have passed, and no claim was asked.
    return worst if found == NOTHING else found


def _of_one(run: Sequence[Record]) -> int:
    """The exit code that a run ended with; without an end it was killed, which is at least an interruption."""
    found = of_verdicts(last_verdicts(run).values())
    end = next((record for record in reversed(run) if isinstance(record, records.End)), None)
    if end is None:
        return FAILED if found == FAILED else INTERRUPTED
    if found == NOTHING and any(isinstance(record, records.Peer) for record in run):
        return end.exit
    return end.exit or found


def _rank(code: int) -> float:
    return _WORST.index(code) if code in _WORST else 0.5
