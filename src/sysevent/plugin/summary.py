"""The end of a run: how pytest counts and shows each verdict, the matrix, and the exit code."""

from __future__ import annotations

import fnmatch
import functools
import shlex
from collections.abc import Iterator

import pytest

from sysevent.errors import UsageError
from sysevent.model import Status
from sysevent.plugin.fixtures import RUN
from sysevent.plugin.options import TARGETS
from sysevent.plugin.outcome import STATUS
from sysevent.plugin.run import Run
from sysevent.report import errata_seen, kernels, readers_table, records, run_log
from sysevent.report.grouping import grouped_verdicts, noteworthy
from sysevent.report.matrix import lines, matrix, summary
from sysevent.report.text_report import STYLES
from sysevent.text import escape_line

# How pytest's closing line names a status, and the letter of its progress. Scripts may read them.
_COUNTED = {Status.MISS: ("missed", "M"), Status.ERROR: ("error", "E"), Status.DONE: ("noted", "n")}


def markup(status: Status) -> dict[str, bool]:
    """The style of a status as pytest's terminal takes it."""
    return dict.fromkeys(STYLES[status].split(), True)


def _status(report: pytest.TestReport | pytest.CollectReport) -> Status | None:
    """The status that outcome.py gave a report; None for a test without a claim."""
    for name, value in getattr(report, "user_properties", ()):
        if name == STATUS:
            return Status(str(value))
    return None


def pytest_report_teststatus(
    report: pytest.TestReport | pytest.CollectReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show MISS, ERROR and DONE under their own names: a lost guest is not a broken kernel."""
    status = _status(report)
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
        elif not _judged(verdicts):
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    if run.log.failed:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    run.close(int(session.exitstatus), matrix(verdicts).counts)


def written(run: Run) -> list[records.Record]:
    """The records of the run so far; none if the file is gone, which ends the run with an error."""
    run.log.restore()
    try:
        return list(run_log.read(run.log.path))
    except UsageError as error:
        run.log.failed = run.log.failed or str(error)
        return []


def _judged(verdicts: list[records.Verdict]) -> bool:
    """Whether any claim was judged."""
    return any(record.status in ("PASS", "DONE", "FAIL") for record in verdicts)


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


def _write(reporter: pytest.TerminalReporter, line: str, **markup: bool) -> None:
    """Print a line, escaped: it can hold what guests and target files wrote."""
    reporter.write_line(escape_line(line), **markup)


def _kept(everything: list[records.Record]) -> Iterator[str]:
    """How to reach each guest that runs on, and how to end it."""
    for kept in (record for record in everything if isinstance(record, records.Kept)):
        yield f"kept: {kept.target} pid {kept.pid}, which ends {kept.limit} s after it was started"
        yield f"  attach with: sysevent shell --attach {shlex.quote(kept.directory)}"
        yield f"  end it with: kill {kept.pid}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the matrix of claims by target and what is not well, from the records on disk."""
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    everything = written(run)
    write = functools.partial(_write, terminalreporter)
    found = matrix(everything)
    terminalreporter.section("claims by target")
    for line, worst in lines(found):
        write(line, **(markup(worst) if worst else {"bold": True}))
    table_of_readers = readers_table.lines(readers_table.read(everything))
    if table_of_readers:
        terminalreporter.section("how each generation of userspace reads these events")
        for line in table_of_readers:
            write(line)
        write("event by event: sysevent report " + str(run.results))
        write("")
    for status, line in noteworthy(everything):
        write(line, **markup(status))
    verdicts = [record for record in everything if isinstance(record, records.Verdict)]
    for line in unmet_requirements(verdicts, config.getoption("require")):
        write(f"required, so that this run fails: {line}", red=True)
    if run.log.failed:
        write(run.log.failed, red=True, bold=True)
    if not _judged(verdicts):
        write("no claim was judged: the run fails", yellow=True)
    for line in (*errata_seen.lines(everything), *_kept(everything), *kernels.lines(everything)):
        write(line)
    targets = {spec.id for spec in config.stash[TARGETS]} & {record.target for record in verdicts}
    write(f"{len(targets)} target{'' if len(targets) == 1 else 's'} asked: {summary(found)}")
    write(f"results: {run.results}")
