"""The same selection, run several times: which verdicts differ, and which incidents there were. No I/O."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sysevent.report import records
from sysevent.report.matrix import column, matrix, summary
from sysevent.report.records import Record
from sysevent.text import escape_line

# Times, process ids and addresses do not make another kind of incident.
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
# Claim and column of the matrix.
_Key = tuple[str, str]


class RepeatedRun(msgspec.Struct, frozen=True):
    """One of the runs."""

    # The exit code of pytest.
    code: int
    # Duration in seconds.
    seconds: float
    verdicts: dict[_Key, records.Verdict]
    incidents: tuple[records.Incident, ...]
    # Number of verdicts by status, in one line.
    counts: str

    @classmethod
    def of(cls, code: int, seconds: float, run: Sequence[Record]) -> RepeatedRun:
        """Return a run from its exit code, its duration and its records, of which there may be none."""
        verdicts = {
            (record.test, column(record)): record for record in run if isinstance(record, records.Verdict)
        }
        incidents = tuple(record for record in run if isinstance(record, records.Incident))
        return cls(code, seconds, verdicts, incidents, summary(matrix(run)))


def line(number: int, total: int, runs: Sequence[RepeatedRun]) -> str:
    """Return the line about the last of the runs so far; number is its number, total how many there will be."""
    last, first = runs[-1], runs[0]
    different = sum(
        _status(first, key) != _status(last, key) for key in first.verdicts.keys() | last.verdicts.keys()
    )
    return (
        f"run {number} of {total}: exit code {last.code}, {last.seconds:.1f} s, {last.counts}; "
        f"incidents: {len(last.incidents)}; verdicts other than in run 1: {different}"
    )


def differing(runs: Sequence[RepeatedRun]) -> list[_Key]:
    """Return the claims whose status is not the same in all runs; one without a verdict in a run differs, too."""
    keys = dict.fromkeys(key for run in runs for key in run.verdicts)
    return [key for key in keys if len({_status(run, key) for run in runs}) > 1]


def table(runs: Sequence[RepeatedRun]) -> list[str]:
    """Return the lines about all runs: differing verdicts with a reason for each status, incidents by kind, counts."""
    different = differing(runs)
    lines = [line for key in different for line in _of_claim(key, runs)]
    lines += _incidents(runs)
    codes = Counter(run.code for run in runs)
    lines.append(
        f"{len(runs)} runs, {sum(len(run.verdicts) for run in runs)} verdicts; "
        f"claims whose verdict differs: {len(different)}; incidents: {sum(len(run.incidents) for run in runs)}; "
        f"exit codes: {', '.join(f'{code} ({count})' for code, count in sorted(codes.items()))}"
    )
    return [escape_line(line) for line in lines]


def exit_code(runs: Sequence[RepeatedRun]) -> int:
    """Return the highest exit code of all runs; 1 if that is 0 and verdicts differ."""
    return max(run.code for run in runs) or int(bool(differing(runs)))


def _status(run: RepeatedRun, key: _Key) -> str:
    verdict = run.verdicts.get(key)
    return verdict.status.value if verdict else "no verdict"


def _of_claim(key: _Key, runs: Sequence[RepeatedRun]) -> Iterable[str]:
    counts = Counter(_status(run, key) for run in runs)
    test, place = key
    yield f"{test} on {place}: {', '.join(f'{count} {status}' for status, count in counts.most_common())}"
    for status in counts:
        number, run = next((n, run) for n, run in enumerate(runs, 1) if _status(run, key) == status)
        reason = run.verdicts[key].reason if key in run.verdicts else ""
        yield f"    {status}, first in run {number}{': ' if reason else ''}{reason}"


def _incidents(runs: Sequence[RepeatedRun]) -> Iterable[str]:
    kinds: dict[str, list[tuple[int, str]]] = {}
    for number, run in enumerate(runs, 1):
        for incident in run.incidents:
            first = incident.reason.partition("\n")[0]
            kinds.setdefault(_NUMBER.sub("N", first), []).append((number, first))
    for found in sorted(kinds.values(), key=len, reverse=True):
        number, reason = found[0]
        yield f"incident, {len(found)} times, first in run {number}: {reason}"
