"""Verdicts by cause: one line for all claims with the same thing wrong, and the names of the claims. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sysevent.contract.claim import PREFIX
from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import column, last_verdicts

# Columns that a line names.
_COLUMNS = 6


class Cause(msgspec.Struct, frozen=True):
    """Verdicts of one status with the same cause, at least one; the first has the fewest exits, and a short name."""

    verdicts: tuple[records.Verdict, ...]
    # What is wrong with all of them. "": they have the same reason, word by word.
    shared: str = ""

    @property
    def status(self) -> Status:
        """The status of all of them."""
        return self.verdicts[0].status

    @property
    def tests(self) -> list[str]:
        """The names of the claims, each once."""
        return list(dict.fromkeys(verdict.test for verdict in self.verdicts))

    @property
    def columns(self) -> list[str]:
        """The columns of the matrix that they are in, each once."""
        return list(dict.fromkeys(map(column, self.verdicts)))

    def __str__(self) -> str:
        what = self.tests[0] if len(self.tests) == 1 else f"{len(self.tests)} claims"
        words = self.shared if self.shared and len(self.tests) > 1 else _reason(self.verdicts[0])
        shown, left = self.columns[:_COLUMNS], len(self.columns) - _COLUMNS
        places = ", ".join(shown) + (f" and {left} more" if left > 0 else "")
        return f"{self.status} {what} on {places}: {words}"


def causes(verdicts: Iterable[records.Verdict]) -> list[Cause]:
    """Return verdicts by cause: the worst status first, then the cause of the most claims.

    FAIL and DONE have one cause if the same members have the same wrong values in each, whatever the exit is called and
    wherever they are; all others, if they have the same reason.
    """
    groups: dict[tuple[object, ...], list[records.Verdict]] = {}
    for verdict in verdicts:
        key = (verdict.status, verdict.erratum, *(_wrong(verdict) or (_reason(verdict),)))
        groups.setdefault(key, []).append(verdict)
    found = [Cause(tuple(sorted(group, key=_size)), _words(_wrong(group[0]))) for group in groups.values()]
    return sorted(found, key=lambda cause: (cause.status.severity, -len(cause.tests)))


def noteworthy_causes(run: Iterable[records.Record]) -> list[Cause]:
    """Return the causes of the verdicts that count in a run and are neither PASS nor SKIP.

    Those that an erratum explains have lines of their own: errata_seen.py.
    """
    return causes(
        one
        for one in last_verdicts(run).values()
        if one.status not in (Status.PASS, Status.SKIP) and not (one.erratum and one.status is Status.DONE)
    )


def noteworthy(run: Iterable[records.Record]) -> list[tuple[Status, str]]:
    """Return the lines of noteworthy_causes(), each with its status."""
    return [(cause.status, str(cause)) for cause in noteworthy_causes(run)]


def grouped_verdicts(verdicts: Iterable[records.Verdict]) -> list[tuple[Status, str]]:
    """Return a line for each cause of some verdicts, with its status, in the order of causes()."""
    return [(cause.status, str(cause)) for cause in causes(verdicts)]


def others_of(cause: Cause, run: Iterable[records.Record], most: int | None = None) -> str:
    """Return others(), or only their number if the cause has all verdicts of a run in its columns."""
    columns = set(cause.columns)
    there = [place for _, place in last_verdicts(run) if place in columns]
    if len(there) == len(cause.verdicts) and len(cause.tests) > 1:
        return f"{len(cause.tests) - 1} other{'s' if len(cause.tests) > 2 else ''}: all claims there"
    return others(cause, most)


def others(cause: Cause, most: int | None = None) -> str:
    """Return the claims of a cause besides the first, in one line; "" if there are none.

    most: how many are named; None: all. A claim that is not in all columns of the cause is named with its own.
    """
    places: dict[str, list[str]] = {}
    for verdict in cause.verdicts:
        places.setdefault(verdict.test, []).append(column(verdict))
    everywhere = len(cause.columns)
    names = [
        test.removeprefix(f"{PREFIX}.") + ("" if len(found) == everywhere else f" ({', '.join(found)})")
        for test, found in list(places.items())[1:]
    ]
    if not names:
        return ""
    shown = names[:most]
    left = f" and {len(names) - len(shown)} more (-v names all)" if len(shown) < len(names) else ""
    return f"{len(names)} other{'s' if len(names) > 1 else ''}: {', '.join(shown)}{left}"


def _size(verdict: records.Verdict) -> tuple[int, int]:
    """How much there is to read about a verdict."""
    return len(verdict.raw), len(verdict.test)


def _reason(verdict: records.Verdict) -> str:
    """The first line of the reason, without the names of target and claim, which stand beside it."""
    line = (verdict.reason.splitlines() or [""])[0].removeprefix(f"{verdict.target}: ")
    return line.replace(f"{verdict.test.removeprefix(f'{PREFIX}.')}: ", "")


def _wrong(verdict: records.Verdict) -> tuple[tuple[str, str, str], ...]:
    """What is not as expected, what came and what was expected: each once, without the name of the exit."""
    if verdict.status not in (Status.FAIL, Status.DONE):
        return ()
    return tuple(
        dict.fromkeys(
            (_member(what, verdict.raw), verdict.got.get(what, ""), expected)
            for what, expected in verdict.expected.items()
        )
    )


def _member(what: str, labels: Iterable[str]) -> str:
    """The member of kvm_run, or the register, without the name of the exit before it."""
    label, colon, member = what.partition(": ")
    return member if colon and label in labels else what


def _words(wrong: Sequence[tuple[str, str, str]]) -> str:
    return "; ".join(f"{what}: got {got}, expected {expected}" for what, got, expected in wrong[:2]) + (
        f" (and {len(wrong) - 2} more)" if len(wrong) > 2 else ""
    )
