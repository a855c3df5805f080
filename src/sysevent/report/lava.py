"""A run as signals of LAVA's test shell: a test set for each target and ABI, a test case for each claim. No I/O.

A test definition prints them, for example with `--lava /dev/stdout`. The STARTRUN and ENDRUN around them are written by
lava-test-runner; others in between would give the results to a definition that the job does not have.

FAIL is `fail`. ERROR and MISS are `unknown`: nothing is known about the kernel. DONE is `pass`, as it fails no run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sysevent.model import Status
from sysevent.report.records import Record
from sysevent.report.suites import safe_name, safe_names, suites, unfinished

_RESULTS = {
    Status.FAIL: "fail",
    Status.ERROR: "unknown",
    Status.MISS: "unknown",
    Status.PASS: "pass",
    Status.DONE: "pass",
    Status.SKIP: "skip",
}
# The set of runs that have not ended.
_RUNS = "sysevent_runs"


def render(run: Sequence[Record]) -> str:
    """Return the signals, one a line; a run that has not ended is a case of its own that is `unknown`."""
    return "".join(f"<LAVA_SIGNAL_{signal}>\n" for signal in _signals(run))


def _signals(run: Sequence[Record]) -> Iterator[str]:
    found = suites(run)
    names = safe_names((suite.name for suite in found), taken=[_RUNS])
    for suite in found:
        yield f"TESTSET START {names[suite.name]}"
        cases = safe_names(verdict.test for verdict in suite.verdicts)
        for verdict in suite.verdicts:
            measured = f" MEASUREMENT={verdict.seconds:.4f} UNITS=seconds" if verdict.seconds else ""
            yield f"TESTCASE TEST_CASE_ID={cases[verdict.test]} RESULT={_RESULTS[verdict.status]}{measured}"
        yield "TESTSET STOP"
    if incomplete := unfinished(run):
        yield f"TESTSET START {_RUNS}"
        for name in incomplete:
            yield f"TESTCASE TEST_CASE_ID={safe_name(name)} RESULT=unknown"
        yield "TESTSET STOP"
