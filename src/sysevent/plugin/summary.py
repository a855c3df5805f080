"""How pytest counts and shows each verdict, and the exit code of a run."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import pytest

from sysevent.errors import UsageError
from sysevent.model import Status
from sysevent.plugin.case import status_of
from sysevent.plugin.run import RUN, Run
from sysevent.report import exit_code, readers_table, records, run_log
from sysevent.report.grouping import grouped_verdicts
from sysevent.report.matrix import last_verdicts, matrix
from sysevent.report.text_report import STYLES

# How pytest's closing line names a status, and the letter of its progress. Scripts may read them.
_COUNTED = {Status.MISS: ("missed", "M"), Status.ERROR: ("error", "E"), Status.DONE: ("noted", "n")}

# The kinds of records that only some readers need, and that take most of the time to read.
OBSERVED = ("observation", "reading")


def markup(status: Status) -> dict[str, bool]:
    """The style of a status as pytest's terminal takes it."""
    return dict.fromkeys(STYLES[status].split(), True)


def pytest_report_teststatus(
    report: pytest.TestReport | pytest.CollectReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show MISS, ERROR and DONE under their own names: a lost guest is not a broken kernel."""
    status = status_of(report)
    if status not in _COUNTED or report.when == "teardown":
        return None
    category, letter = _COUNTED[status]
    return category, letter, (status.value, markup(status))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Set the exit code: 0 only if a claim was judged, none failed, and nothing required is missing."""
    config = session.config
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    if hasattr(config, "workerinput"):
        # A worker of pytest-xdist: the controller, which has the results of all of them, sets the exit code.
        run.leave()
        return
    everything = written(run)
    for target, reading in readers_table.read(everything):
        run.log.write(records.Reading.of(target, reading))
    verdicts = [record for record in everything if isinstance(record, records.Verdict)]
    if exitstatus == pytest.ExitCode.OK:
        if unmet_requirements(verdicts, config.getoption("require")):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            session.exitstatus = exit_code.of_verdicts(last_verdicts(verdicts).values())
    if run.log.failed:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    run.close(int(session.exitstatus), matrix(verdicts).counts)


def written(run: Run, without: Sequence[str] = ()) -> list[records.Record]:
    """The records of the run so far, except those of some kinds; none if the file is gone: the run ends with an error.

    without: see run_log.read(); most of the time is needed for what was observed, and how it is read.
    """
    run.log.restore()
    try:
        return list(run_log.read(run.log.path, without))
    except UsageError as error:
        run.log.failed = run.log.failed or str(error)
        return []


def unmet_requirements(verdicts: list[records.Verdict], globs: list[str]) -> list[str]:
    """What keeps the targets of --require from being covered, a line each: no verdict, a MISS, a target not asked.

    A claim that does not apply to a target's kernel counts as covered: no lab can make it apply.
    """
    found = []
    for glob in globs:
        here = [record for record in verdicts if fnmatch.fnmatchcase(record.target, glob)]
        missing = [
            record
            for record in here
            if record.status == "MISS" or (record.status == "SKIP" and not record.kernel)
        ]
        found += [line for _, line in grouped_verdicts(missing)]
        if not here:
            found.append(f"no verdict at all on {glob}")
    return found
