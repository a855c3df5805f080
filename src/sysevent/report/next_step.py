"""What the user of a run should look at next, in one line. No I/O."""

from __future__ import annotations

from pathlib import Path

from sysevent.contract import catalogue
from sysevent.model import Status
from sysevent.report import records
from sysevent.report.matrix import last_verdicts
from sysevent.report.run_log import logs_in


def line(run: list[records.Record], results: str, report: str, command: str) -> str:
    """Return the line about the worst verdicts of a run; it ends with a command, or with a path.

    results: the directory of the run. report: the command that shows the run again. command: what starts this program.
    """
    found: dict[Status, list[records.Verdict]] = {}
    for verdict in last_verdicts(run).values():
        found.setdefault(verdict.status, []).append(verdict)
    if Status.FAIL in found:
        if name := _claim(found[Status.FAIL][0]):
            return f"next: the bytes are above; why it must hold: {command} explain {name}"
        return f"next: the bytes are above; all of it again: {report}"
    if Status.ERROR in found:
        return f"next: the first error is above, and is not about the kernel; is this machine well: {command} doctor"
    if Status.MISS in found:
        logs = logs_in(Path(results), found[Status.MISS][0].target)
        return f"next: this machine: {command} doctor; the guest's logs: {logs}"
    if any(not verdict.kernel for verdict in found.get(Status.SKIP, [])):
        return f"next: what would make the other claims apply: {command} doctor"
    about = [f"{len(found[status])} {status}" for status in (Status.DONE, Status.SKIP) if status in found]
    return f"next: {' and '.join(about) or 'every claim'}, one by one: {report}"


def _claim(verdict: records.Verdict) -> str:
    """The name by which `explain` takes the claim of a verdict; "" if suites/ does not have it."""
    return next((claim.name for claim in catalogue.load() if claim.test(verdict.abi) == verdict.test), "")
