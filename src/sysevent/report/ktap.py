"""A run as KTAP version 1 (Documentation/dev-tools/ktap.rst), nested: target and ABI, family, claim. No I/O.

FAIL, ERROR and MISS are `not ok`, the last two with the directive ERROR, which parsers that do not know it ignore. SKIP
is a directive of its own, DONE is `ok` with its reason behind `#`. Names have no space and no `#`, which KernelCI and
LAVA would cut them at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sysevent.model import Status
from sysevent.report import records
from sysevent.report.families import family
from sysevent.report.records import Record
from sysevent.report.suites import Suite, details, headline, safe_name, safe_names, suites, unfinished

_INDENT = "  "
# Where the kernel's tools/testing/kunit/kunit_parser.py stops reading, KTAP_END: a guest's console can have these.
_ENDS = re.compile("List of all partitions:|Kernel panic - not syncing: VFS:|reboot: System halted")
_NOT_OK = (Status.FAIL, Status.ERROR, Status.MISS)
# Characters of a line of diagnostics.
_LONGEST = 400
# The suite of runs that have not ended.
_RUNS = "sysevent_runs"


class _Plan:
    """The lines of one level: subtests with their results, numbered."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.statuses: list[Status] = []

    def add(self, name: str, status: Status, why: str = "", before: Sequence[str] = ()) -> None:
        """Add a test and its result. before: lines of its subtests, or about it."""
        self.statuses.append(status)
        result = "not ok" if status in _NOT_OK else "ok"
        self.lines += [*before, f"{result} {len(self.statuses)} {name}{_directive(status, why)}"]

    def add_subtests(self, name: str, plan: _Plan) -> None:
        """Add a test that consists of others: it is what the worst of them is."""
        inside = [f"{_INDENT}{line}" for line in plan.text(name)]
        self.add(name, _worst(plan.statuses), before=inside)

    def text(self, name: str = "") -> Iterator[str]:
        """Yield the lines of this level, with its version and its plan."""
        yield "KTAP version 1"
        if name:
            yield f"# Subtest: {name}"
        yield f"1..{len(self.statuses)}"
        yield from self.lines


def render(run: Sequence[Record]) -> str:
    """Return the text, with a test `sysevent_runs` that is not ok if a run has not ended."""
    top = _Plan()
    found = suites(run)
    names = safe_names((suite.name for suite in found), taken=[_RUNS])
    for suite in found:
        top.add_subtests(names[suite.name], _families(suite, names[suite.name]))
    if incomplete := unfinished(run):
        runs = _Plan()
        for name, why in incomplete.items():
            runs.add(safe_name(name), Status.MISS, why)
        top.add_subtests(_RUNS, runs)
    return "".join(f"{line}\n" for line in top.text())


def _families(suite: Suite, parent: str) -> _Plan:
    """The families of the claims of a suite, each with its claims.

    No test has the name of its parent, whose result kunit_parser.py would take it for.
    """
    members: dict[str, list[records.Verdict]] = {}
    for verdict in suite.verdicts:
        members.setdefault(family(verdict), []).append(verdict)
    found = _Plan()
    names = safe_names(members, taken=[parent])
    for name, verdicts in members.items():
        claims = _Plan()
        safe = safe_names((verdict.test for verdict in verdicts), taken=[names[name]])
        for verdict in verdicts:
            about = details(verdict) if verdict.status in _NOT_OK else []
            lines = [f"# {_diagnostic(line)}" for line in about]
            why = "" if verdict.status in (Status.PASS, Status.FAIL) else headline(verdict)
            claims.add(safe[verdict.test], verdict.status, why, lines)
        found.add_subtests(names[name], claims)
    return found


def _worst(statuses: Sequence[Status]) -> Status:
    """The status of a test whose subtests have these. DONE and MISS are about single tests."""
    if any(status in _NOT_OK for status in statuses):
        return Status.FAIL
    return Status.SKIP if all(status is Status.SKIP for status in statuses) else Status.PASS


def _directive(status: Status, why: str) -> str:
    """What stands behind the name of a test, with the `#` in front of it."""
    if status in (Status.PASS, Status.FAIL):
        return ""
    word = {Status.SKIP: "SKIP", Status.DONE: "DONE", Status.ERROR: "ERROR", Status.MISS: "ERROR MISS:"}[
        status
    ]
    return f" # {word} {_diagnostic(why)}".rstrip()


def _diagnostic(text: str) -> str:
    """Text that no parser takes for a directive, a header or the end of the results."""
    open_end = _ENDS.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", text)
    return open_end.replace("#", "\\x23").replace("Subtest:", "Subtest\\x3a")[:_LONGEST]
