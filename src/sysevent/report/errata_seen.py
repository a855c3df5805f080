"""The errata that a run has met, for the end of its report. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from sysevent.contract.errata import BY_ID
from sysevent.report import records
from sysevent.report.matrix import column, last_verdicts


def lines(run: Iterable[records.Record]) -> list[str]:
    """Return a line for each erratum of the run, and one for each place and status of its claims. None: no lines."""
    found: dict[str, dict[str, list[str]]] = {}
    for verdict in last_verdicts(run).values():
        if verdict.erratum:
            how = (
                "PASS, although it says FAIL" if verdict.status == "PASS" else f"{verdict.status}, as it says"
            )
            places = found.setdefault(verdict.erratum, {})
            places.setdefault(f"{column(verdict)}, Linux {verdict.kernel or '?'}: {how}", []).append(
                verdict.test
            )
    text = []
    for erratum, places in found.items():
        known = BY_ID.get(erratum)
        text.append(f"erratum {erratum}: {known.says if known else 'of another version of sysevent'}")
        text += [f"  {place}: {', '.join(tests)}" for place, tests in places.items()]
    return text
