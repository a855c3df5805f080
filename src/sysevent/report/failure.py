"""The explanation of a failed claim: what is wrong, and the raw bytes with the wrong fields marked. No I/O."""

from __future__ import annotations

from typing import Any

from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.contract.log_claim import LogEvidence
from sysevent.model import Mismatch, RawExit, Verdict

# Bytes per row.
_ROW = 16
# Bytes of kvm_run that are always shown. More are shown if a wrong field lies behind them.
_SHOWN = 64
# Lines of a kernel's log, and splats, that are shown.
_LOG_LINES = 40
_SPLATS = 3


def explain(
    claim: Claim[Any], verdict: Verdict, evidence: ExitEvidence | HeaderFacts | LogEvidence
) -> list[str]:
    """The lines of a broken claim, the most telling first; without the logs and the command that runs it again."""
    return [
        f"{verdict.test}: {verdict.reason}",
        *(f"  {wrong.what}: got {wrong.got}, expected {wrong.expected}" for wrong in verdict.mismatches),
        f"  rests on {claim.source}",
        *_details(verdict, evidence),
    ]


def _details(verdict: Verdict, evidence: ExitEvidence | HeaderFacts | LogEvidence) -> list[str]:
    match evidence:
        case ExitEvidence():
            return _of_exits(verdict, evidence)
        case LogEvidence():
            return _of_logs(evidence)
        case HeaderFacts():
            return _of_headers(evidence)


def _of_exits(verdict: Verdict, evidence: ExitEvidence) -> list[str]:
    facts, seen = evidence.facts, evidence.seen
    lines = [
        f"  judged by {evidence.definition}",
        f"  Linux {facts.release}, VMM {seen.abi} {facts.build_id}",
        *([f"  {facts.identity}"] if facts.identity else []),
    ]
    for label, raw in seen.exits.items():
        lines.append(f"  kvm_run at {label!r}, poison {poison(raw)}; ^^ marks what is wrong:")
        lines += [f"    {line}" for line in dump(raw, verdict.mismatches)]
    if seen.log.lines:
        lines.append("  the kernel's log while this scenario ran:")
        lines += _shortened(seen.log.lines)
    return lines


def _of_logs(evidence: LogEvidence) -> list[str]:
    lines = [f"  Linux {evidence.facts.release}"]
    for one, splat in [found for found in evidence.splats() if found[1].in_kvm][:_SPLATS]:
        lines.append(f"  the kernel's log while {one.scenario} ran, for a VMM of {one.abi}:")
        lines += _shortened(splat.lines)
    return lines


def _shortened(log: tuple[str, ...]) -> list[str]:
    more = [f"    ({len(log) - _LOG_LINES} more lines)"] if len(log) > _LOG_LINES else []
    return [f"    {line}" for line in log[:_LOG_LINES]] + more


def _of_headers(evidence: HeaderFacts) -> list[str]:
    abi = evidence.userspace.name
    return [
        f"  headers of {evidence.spec} {evidence.version}, for {abi}",
        f"  see    sysevent layout show --kernel {evidence.spec} --abi {abi}",
    ]


def poison(raw: RawExit) -> str:
    """Return the poison of an exit in hexadecimal, or `none`."""
    return "none" if raw.poison is None else f"{raw.poison:02x}"


def dump(raw: RawExit, wrong: tuple[Mismatch, ...]) -> list[str]:
    """Return the first bytes of kvm_run in hexadecimal, with a line of marks below each row with a wrong field."""
    spans = [span for span in (mismatch.span for mismatch in wrong) if span]
    last = max([_SHOWN, *(min(end, start + _ROW) for start, end in spans)])
    text = []
    for at in range(0, min(last, len(raw.head)), _ROW):
        text.append(f"{at:3}  {raw.head[at : at + _ROW].hex(' ')}")
        marked = {n for start, end in spans for n in range(start, end)} & set(range(at, at + _ROW))
        # Marks below a whole row tell nothing: a union is wrong as a whole.
        if marked and len(marked) < _ROW:
            text.append(
                "     " + " ".join("^^" if n in marked else "  " for n in range(at, at + _ROW)).rstrip()
            )
    return text
