"""From pytest's outcomes to verdicts: recorded, counted, shown in a matrix, and turned into an exit code."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Iterator

import pytest

from sysevent.contract.exit_claim import ExitEvidence
from sysevent.decode.event import decode
from sysevent.errors import InfrastructureError, SyseventError, UsageError
from sysevent.model import Status, Verdict
from sysevent.plugin.case import CASE, Case
from sysevent.plugin.fixtures import RUN, ClaimBroken
from sysevent.plugin.options import TARGETS
from sysevent.plugin.run import Run
from sysevent.report import failure, readers_table, records, run_log
from sysevent.report.grouping import grouped_verdicts
from sysevent.report.matrix import lines, matrix, summary

_MARKUP = {
    Status.FAIL: {"red": True, "bold": True},
    Status.ERROR: {"red": True},
    Status.MISS: {"yellow": True, "bold": True},
    Status.PASS: {"green": True},
    Status.DONE: {"cyan": True},
    Status.SKIP: {"yellow": True},
}


def explained(item: pytest.Item, case: Case) -> str:
    """A broken claim as the report tells it: the fields, the bytes, the logs, and what to do next."""
    if case.verdict is None or case.evidence is None:
        return ""
    text = failure.explain(case.claim, case.verdict, case.evidence)
    if RUN in item.config.stash and isinstance(case.evidence, ExitEvidence):
        text.append(f"  logs  {item.config.stash[RUN].results / case.target}")
    return "\n".join([*text, f"  again {again(item)}"])


def again(item: pytest.Item) -> str:
    """The command that runs one test once more, on the same kernel and by the same contract."""
    config = item.config
    options = [
        f"--{name} {value}"
        for name in ("targets", "kernel", "modules", "floor")
        for value in _listed(config.getoption(name))
    ]
    return " ".join(["./sysevent run", *options, f"-- '{item.nodeid}'"])


def _listed(value: str | list[str] | None) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the wrapper's return value is the report
    report: pytest.TestReport = yield  # type: ignore[assignment]
    case = item.stash.get(CASE, None)
    if case is None:
        return report  # type: ignore[return-value]
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, SyseventError):
        # One clear message: a traceback of ours tells a user nothing.
        report.longrepr = str(error)
    if report.when == "call" or (report.when == "setup" and not report.passed):
        verdict = verdict_of(report, error, case)
        if verdict.status in (Status.FAIL, Status.ERROR) and report.passed:
            report.outcome, report.longrepr = "failed", verdict.reason
        if verdict.status is Status.FAIL:
            report.longrepr = explained(item, case) or verdict.reason
        report.user_properties.append(("sysevent", verdict.status.value))
        _record(item, case, verdict)
    return report  # type: ignore[return-value]


def verdict_of(report: pytest.TestReport, error: BaseException | None, case: Case) -> Verdict:
    """The verdict of one test. Only the judge, who was asked by `check`, makes a PASS, a DONE or a FAIL."""
    test, level = case.claim.test(case.abi), case.claim.level
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Verdict(test, Status.SKIP, level, reason.removeprefix("Skipped: "))
    if isinstance(error, InfrastructureError):
        return Verdict(test, Status.MISS, level, str(error).splitlines()[0])
    if error is not None and not isinstance(error, ClaimBroken):
        return Verdict(test, Status.ERROR, level, (str(error) or repr(error)).splitlines()[0])
    if case.verdict is None:
        return Verdict(test, Status.ERROR, level, "the test did not check its claim")
    return case.verdict


def _record(item: pytest.Item, case: Case, verdict: Verdict) -> None:
    if RUN not in item.config.stash:
        return
    run = item.config.stash[RUN]
    if verdict.status in (Status.FAIL, Status.ERROR, Status.MISS):
        run.failed.add(case.target)
    seen = case.evidence.seen if isinstance(case.evidence, ExitEvidence) else None
    exits = seen.exits if seen else {}
    run.verdict(
        records.Verdict(
            test=verdict.test,
            target=case.target,
            kernel=case.kernel,
            abi=case.abi,
            native=case.native,
            status=verdict.status,
            level=verdict.level,
            reason=verdict.reason,
            expected={wrong.what: wrong.expected for wrong in verdict.mismatches},
            got={wrong.what: wrong.got for wrong in verdict.mismatches},
            raw={label: raw.head.hex() for label, raw in exits.items()},
            written={label: decode(raw, seen.arch).written for label, raw in exits.items()} if seen else {},
            nodeid=item.nodeid,
            seconds=round(case.seconds, 4),
        )
    )


def _status(report: pytest.TestReport | pytest.CollectReport) -> Status | None:
    for name, value in getattr(report, "user_properties", ()):
        if name == "sysevent":
            return Status(str(value))
    return None


def pytest_report_teststatus(
    report: pytest.TestReport | pytest.CollectReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """MISS, ERROR and DONE under their own names, so that nobody takes a lost guest for a broken kernel."""
    status = _status(report)
    if status not in (Status.MISS, Status.ERROR, Status.DONE) or report.when == "teardown":
        return None
    letter, category = {"MISS": ("M", "missed"), "ERROR": ("E", "error"), "DONE": ("n", "noted")}[status]
    return category, letter, (status.value, _MARKUP[status])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The exit code: 0 only when something was judged, nothing failed, and nothing required is missing."""
    config = session.config
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    if hasattr(config, "workerinput"):  # of pytest-xdist: the whole is judged where all of it arrives
        run.leave()
        return
    everything = _written(run)
    for target, reading in readers_table.read(everything):
        run.log.write(records.Reading.of(target, reading))
    verdicts = [record for record in everything if isinstance(record, records.Verdict)]
    if exitstatus == pytest.ExitCode.OK:
        if wanting(verdicts, config.getoption("require")):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif not _judged(verdicts):
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    if run.log.failed:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    run.close(int(session.exitstatus), matrix(verdicts).counts)


def _written(run: Run) -> list[records.Record]:
    """What the run has written down so far."""
    try:
        return list(run_log.read(run.log.path))
    except UsageError as error:  # somebody removed it meanwhile
        run.log.failed = run.log.failed or str(error)
        return []


def _judged(verdicts: list[records.Verdict]) -> bool:
    return any(record.status in ("PASS", "DONE", "FAIL") for record in verdicts)


def wanting(verdicts: list[records.Verdict], globs: list[str]) -> list[str]:
    """What --require names and the run did not give: a target that was not asked, or a MISS there.

    A claim that does not apply to a target's kernel is not wanting: no lab can make it apply.
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The matrix of claim by target, from the records on disk."""
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    everything = _written(run)
    found = matrix(everything)
    write = terminalreporter.write_line
    terminalreporter.section("claims by target")
    for line, worst in lines(found):
        write(line, **(_MARKUP[worst] if worst else {"bold": True}))
    table_of_readers = readers_table.lines(readers_table.read(everything))
    if table_of_readers:
        terminalreporter.section("how each generation of userspace reads these events")
        for line in table_of_readers:
            write(line)
        write("event by event: sysevent report " + str(run.results))
        write("")
    verdicts = [record for record in everything if isinstance(record, records.Verdict)]
    noteworthy = [record for record in verdicts if record.status not in ("PASS", "SKIP")]
    for status, line in grouped_verdicts(noteworthy):
        write(line, **_MARKUP[status])
    for line in wanting(verdicts, config.getoption("require")):
        write(f"required, so that this run fails: {line}", red=True)
    if run.log.failed:
        write(run.log.failed, red=True, bold=True)
    if not _judged(verdicts):
        write("nothing was judged, and that is no success", yellow=True)
    for kept in (record for record in everything if isinstance(record, records.Kept)):
        write(f"kept: {kept.target} pid {kept.pid}, which ends {kept.limit} s after it was started")
        write(f"  attach with: sysevent shell --attach {shlex.quote(kept.directory)}")
        write(f"  end it with: kill {kept.pid}")
    targets = {spec.id for spec in config.stash[TARGETS]} & {record.target for record in verdicts}
    write(f"{len(targets)} target{'' if len(targets) == 1 else 's'} asked: {summary(found)}")
    write(f"results: {run.results}")
