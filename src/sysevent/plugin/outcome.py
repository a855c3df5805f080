"""From the outcome of a test to the verdict on its claim, which is recorded and explained in one place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sysevent.contract.exit_claim import ExitEvidence
from sysevent.decode.event import decode
from sysevent.errors import InfrastructureError, SyseventError
from sysevent.model import Status, Verdict
from sysevent.plugin.case import CASE, Case
from sysevent.plugin.fixtures import RUN, ClaimBroken
from sysevent.report import failure, records

# The name of the status among a report's user_properties.
STATUS = "sysevent"


def explained(item: pytest.Item, case: Case) -> str:
    """The text of a broken claim: fields, bytes, logs, and what to do next; "" if there is no evidence."""
    if case.verdict is None or case.evidence is None:
        return ""
    text = failure.explain(case.claim, case.verdict, case.evidence)
    if RUN in item.config.stash and isinstance(case.evidence, ExitEvidence):
        text.append(f"  logs  {item.config.stash[RUN].results / case.target}")
    return "\n".join([*text, f"  again {again(item)}"])


def again(item: pytest.Item) -> str:
    """The command that runs one test again, on the same kernel and under the same contract."""
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
    case = item.stash.get(CASE, None)
    if case is None:
        return (yield)
    excinfo, error = call.excinfo, call.excinfo.value if call.excinfo else None
    if isinstance(error, (SyseventError, ClaimBroken)):
        call.excinfo = _without_traceback(error)
    try:
        report: pytest.TestReport = yield  # type: ignore[assignment]
    finally:
        # --pdb stops where it was raised.
        call.excinfo = excinfo
    if isinstance(error, SyseventError):
        # The message is enough: it says what was tried, what came back and what to do next.
        report.longrepr = str(error)
    if report.when == "call" or (report.when == "setup" and not report.passed):
        verdict = verdict_of(report, error, case)
        if verdict.status in (Status.FAIL, Status.ERROR) and report.passed:
            report.outcome, report.longrepr = "failed", verdict.reason
        if verdict.status is Status.FAIL:
            report.longrepr = explained(item, case) or verdict.reason
        report.user_properties.append((STATUS, verdict.status.value))
        _record(item, case, verdict)
    return report  # type: ignore[return-value]


def _without_traceback(error: BaseException) -> pytest.ExceptionInfo[BaseException]:
    """Return an error with the same message, which pytest formats without reading the source file of every frame.

    Its text of a traceback is not used here, and takes 30 ms for each claim of a target that was lost.
    """
    try:
        pytest.fail(str(error), pytrace=False)
    except pytest.fail.Exception as failed:
        return pytest.ExceptionInfo.from_exception(failed)


def verdict_of(report: pytest.TestReport, error: BaseException | None, case: Case) -> Verdict:
    """The verdict of one test. PASS, DONE and FAIL come from the claim's judge only, which `check` has called."""
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
    """Append the verdict to run.jsonl, with the bytes that it rests on."""
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
            confirmed=case.confirmed if verdict.status is Status.FAIL else 0,
        )
    )
