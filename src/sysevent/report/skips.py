"""Why claims did not apply, grouped by what would make them apply. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import last_verdicts, ordered_columns

# The sentences of Need.why_not() in contract/terms.py.
_LACKS = re.compile(r"Linux \S+ offers no (?P<what>.+)")
_TOO_OLD = re.compile(r"(?P<what>.+): it came with v(?P<since>[0-9.]+); a kernel with a backport .*")
_REQUIRED = re.compile(r"(?P<what>.+) here; required: (?P<required>.+)")


def lines(run: Iterable[records.Record]) -> list[str]:
    """Return a line for each thing that would make claims apply, that of the most claims first."""
    groups: dict[str, list[records.Verdict]] = {}
    lacking: dict[str, set[str]] = {}
    for verdict in last_verdicts(run).values():
        if verdict.status is Status.SKIP:
            cause, what = _cause((verdict.reason.splitlines() or [""])[0])
            groups.setdefault(cause, []).append(verdict)
            lacking.setdefault(cause, set()).update(what)
    text = []
    for cause, members in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        places = ", ".join(ordered_columns(members))
        words = f" ({', '.join(sorted(lacking[cause]))})" if lacking[cause] else ""
        text.append(f"SKIP {len(members)} on {places}: {cause}{words}")
    return text


def _cause(reason: str) -> tuple[str, list[str]]:
    """What would make a claim apply, and which features the kernel is too old for; else the reason itself."""
    lacks = _LACKS.fullmatch(reason)
    if lacks is None:
        return reason, []
    if old := _TOO_OLD.fullmatch(lacks["what"]):
        return f"needs Linux {old['since']} or a backport", [old["what"]]
    if required := _REQUIRED.fullmatch(lacks["what"]):
        return f"no {required['what']}: needs {required['required']}", []
    return f"no {lacks['what']}", []
