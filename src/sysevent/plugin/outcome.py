"""From the outcome of a test to the verdict on its claim, which is recorded and explained in one place."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from sysevent import options, tracebacks
from sysevent.checkout import ROOT, command
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.decode.event import decode
from sysevent.errors import InfrastructureError
from sysevent.model import Status, Verdict
from sysevent.plugin import exceptions, vmms
from sysevent.plugin.case import CASE, STATUS, Case, arch_of, target_of
from sysevent.plugin.fixtures import ClaimBroken
from sysevent.plugin.run import RUN
from sysevent.report import failure, records, run_log
from sysevent.text import escape


def explained(item: pytest.Item, case: Case) -> str:
    """The text of a broken claim: members, bytes and logs; "" if there is no evidence."""
    if case.verdict is None or case.evidence is None:
        return ""
    return "\n".join(map(escape, failure.explain(case.claim, case.verdict, case.evidence)))


def _next(item: pytest.Item, case: Case) -> str:
    """Where the logs of a target are, if it has any, and the command that repeats the test."""
    config, logs = item.config, None
    if RUN in config.stash and target_of(item):
        logs = run_log.logs_in(config.stash[RUN].results, case.target)
    return what_next(logs, again(config, item.nodeid, case.target, arch_of(item)))


def what_next(logs: Path | None, command: str) -> str:
    """The lines that end the text of a failure; a machine that was never reached has no logs."""
    lines = [f"  logs  {escape(str(logs))}"] if logs is not None and logs.is_dir() else []
    return "\n".join([*lines, f"  again {command}"])


def again(config: pytest.Config, nodeid: str, target: str, arch: str) -> str:
    """The command that runs one test again for the same verdict, on its target: from any directory.

    It has every option of this run, except those that cannot change a verdict, and --require of other targets.
    arch: the architecture that the test is about; "" if it is about none.
    """
    here = config.invocation_params.dir
    given = vars(config.option)
    required = [glob for glob in given["require"] if fnmatch.fnmatchcase(target, glob)]
    words = options.spelled(
        {**given, "require": required},
        lambda option, value: options.absolute(option, value, here),
        again=True,
    )
    if given["build"] and not given["arch"] and arch:
        # What --build builds without it depends on what is edited then.
        words.append(f"--arch={arch}")
    # Ids of tests are relative to the root of pytest, and `run` starts it in ROOT.
    node = nodeid if config.rootpath == ROOT else f"{config.rootpath}/{nodeid}"
    return escape(shlex.join([*command(), "run", *words, "--", node]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the wrapper's return value is the report
    case = item.stash.get(CASE, None)
    excinfo, error = call.excinfo, call.excinfo.value if call.excinfo else None
    text = _shown(error, of_claim=case is not None)
    if text:
        call.excinfo = _without_traceback(text)
    try:
        report: pytest.TestReport = yield  # type: ignore[assignment]
    finally:
        # --pdb stops where it was raised.
        call.excinfo = excinfo
    if text:
        report.longrepr = text
    elif isinstance(report.longrepr, tuple):
        # A skip, whose reason can be the message of an error.
        path, line, why = report.longrepr
        report.longrepr = (path, line, escape(why))
    if case is not None and (report.when == "call" or (report.when == "setup" and not report.passed)):
        verdict = verdict_of(report, error, case)
        if verdict.status in (Status.FAIL, Status.ERROR) and report.passed:
            report.outcome, report.longrepr = "failed", verdict.reason
        if verdict.status is Status.FAIL:
            report.longrepr = explained(item, case) or verdict.reason
        if isinstance(report.longrepr, str) and not report.passed:
            report.longrepr += f"\n{_next(item, case)}"
        report.user_properties.append((STATUS, verdict.status.value))
        _record(item, case, verdict)
    return report  # type: ignore[return-value]


def _shown(error: BaseException | None, *, of_claim: bool) -> str:
    """The text of an exception in a test; "" if it is pytest's own text."""
    if error is None or isinstance(error, pytest.skip.Exception):
        return ""
    if of_claim and (tracebacks.ours(error) or isinstance(error, ClaimBroken)):
        # The message is enough: it says what was tried, what came back and what to do next.
        return tracebacks.message(error)
    if tracebacks.ours(error) or (of_claim and exceptions.foreign(error)):
        return tracebacks.with_frames(error)
    return ""


def _without_traceback(text: str) -> pytest.ExceptionInfo[BaseException]:
    """Return an error with a message, which pytest formats without reading the source file of every frame.

    Its text of a traceback is not used here, and takes 30 ms for each claim of a target that was lost.
    """
    try:
        pytest.fail(text, pytrace=False)
    except pytest.fail.Exception as failed:
        return pytest.ExceptionInfo.from_exception(failed)


def verdict_of(report: pytest.TestReport, error: BaseException | None, case: Case) -> Verdict:
    """The verdict of one test. PASS, DONE and FAIL come from the claim's judge only, which `check` has called."""
    test, level = case.claim.test(case.abi), case.claim.level
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Verdict(test, Status.SKIP, level, reason.removeprefix("Skipped: "))
    if isinstance(error, InfrastructureError):
        return Verdict(test, Status.MISS, level, tracebacks.reason(error))
    if error is not None and not isinstance(error, ClaimBroken):
        return Verdict(test, Status.ERROR, level, tracebacks.reason(error))
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
    vmm = vmms.record(item.config, case, seen, run)
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
            dimensions=(case.claim.dimensions if isinstance(case.claim, ExitClaim) else {}) | vmm,
            confirmed=case.confirmed if verdict.status is Status.FAIL else 0,
            erratum=verdict.erratum,
        )
    )
