"""What an exploration found, as the records of a run: a verdict for each rule of the model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sysevent.arches import native
from sysevent.conformance.contract import Contract
from sysevent.conformance.judge import describe
from sysevent.conformance.play import Sequence
from sysevent.conformance.rules import Rule
from sysevent.contract.claim import PREFIX
from sysevent.decode.event import decode
from sysevent.explore.session import Report
from sysevent.explore.shrinking import Finding, log_rule
from sysevent.model import Facts, Level, Mismatch, Status
from sysevent.report import records

# Actions of a sequence that a reason names.
_SHOWN = 12


def verdicts(
    contract: Contract, facts: Facts, target: str, report: Report, *, replayed: bool = False
) -> Iterator[records.Verdict]:
    """Yield the verdict on each rule; with replayed, only on those that the sequences of a file have followed."""
    found = {finding.disagreement.rule: finding for finding in report.findings}
    for rule in (*contract.rules, log_rule(contract.arch)):
        if rule in found:
            yield _failed(rule, facts, target, found[rule])
        elif rule in report.unrepeated:
            why = f"it was broken once, and not when it was asked again: {report.unrepeated[rule]}"
            yield _verdict(rule, facts, target, Status.MISS, why)
        elif rule in report.rules:
            times = f"{report.rules[rule]} of {report.sequences} sequences followed it"
            yield _verdict(rule, facts, target, Status.PASS, f"{rule.says} {times}.")
        elif rule == log_rule(contract.arch):
            yield _of_log(rule, facts, target, report)
        elif rule in contract.lacking():
            yield _verdict(rule, facts, target, Status.SKIP, "this kernel gives no occasion for it")
        elif not replayed:
            why = f"none of {report.sequences} sequences has reached it; a larger --budget may"
            yield _verdict(rule, facts, target, Status.SKIP, why)


def _of_log(rule: Rule, facts: Facts, target: str, report: Report) -> records.Verdict:
    """Return the verdict on the kernel's log, which is also that on the guests: a lost one may have warned."""
    words = f"{rule.says} {report.sequences} sequences were asked."
    if report.losses:
        lost = f"{len(report.losses)} guests were lost, the first one: {report.losses[0][0]}"
        return _verdict(rule, facts, target, Status.MISS, f"{words} {lost}")
    return _verdict(rule, facts, target, Status.PASS if report.sequences else Status.MISS, words)


def _failed(rule: Rule, facts: Facts, target: str, finding: Finding) -> records.Verdict:
    wrong, seen = finding.disagreement.mismatches, finding.seen
    first, promised = wrong[0], any(map(_is_promised, wrong))
    reason = f"{first.what}: got {first.got}, expected {first.expected}. {rule.says} {shown(finding)}"
    return _verdict(
        rule,
        facts,
        target,
        Status.FAIL if promised else Status.DONE,
        reason if promised else f"Behaviour that is not promised has changed: {reason}",
        level=Level.ABI if promised else Level.OBSERVED,
        expected={one.what: one.expected for one in wrong},
        got={one.what: one.got for one in wrong},
        raw={label: raw.head.hex() for label, raw in seen.exits.items()},
        written={label: decode(raw, seen.arch).written for label, raw in seen.exits.items()},
        confirmed=2 if finding.confirmed else 1,
    )


def _is_promised(wrong: Mismatch) -> bool:
    """Whether kvm_run is wrong, which the kernel documents; not a register of the guest, or what an ioctl returned."""
    return wrong.span is not None or wrong.what.endswith(": exit_reason")


def shown(finding: Finding) -> str:
    """Return the sequence of a finding in one line."""
    lines = describe(finding.sequence, finding.disagreement.number)
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return f"Shortest sequence found: {'; '.join(lines[:_SHOWN])}{more}."


def _verdict(
    rule: Rule, facts: Facts, target: str, status: Status, reason: str, **more: object
) -> records.Verdict:
    fields: dict[str, object] = {
        "expected": {},
        "got": {},
        "raw": {},
        "written": {},
        "confirmed": 0,
        "level": Level.OBSERVED,
    }
    return records.Verdict(
        test=f"{PREFIX}.{rule.claim}",
        target=target,
        kernel=facts.release,
        abi=native(facts.arch).name,
        native=True,
        status=status,
        reason=reason,
        nodeid="",
        seconds=0,
        **(fields | more),  # type: ignore[arg-type]
    )


def keep(folder: Path, sequence: Sequence, name: str, line: str) -> Path:
    """Write a sequence to a directory, in a file of its own name, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sequence.arch}-{name.rpartition('.')[2]}.jsonl"
    path.write_text(line, encoding="utf-8")
    return path


def now() -> datetime:
    """Return the time, of which the name of a results directory is made."""
    return datetime.now(UTC)
