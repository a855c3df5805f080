"""The explanation of a failed claim: what is wrong, and the raw bytes with the wrong fields marked. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.contract.log_claim import LogEvidence
from sysevent.model import Mismatch, Observation, RawExit, Verdict
from sysevent.text import last_lines

# Bytes per row.
_ROW = 16
# Bytes of kvm_run that are always shown. More are shown if a wrong field lies behind them.
_SHOWN = 64
# Exits that are shown if what is wrong is in none of them.
_EXITS = 2
# Lines of a kernel's log, and splats, that are shown.
_LOG_LINES = 40
# Lines of what a program printed in one step.
_PRINTED = 8
_SPLATS = 3


def explain(
    claim: Claim[Any], verdict: Verdict, evidence: ExitEvidence | HeaderFacts | LogEvidence
) -> list[str]:
    """The lines of a broken claim, the most telling first; without the logs and the command that runs it again."""
    # The reason has the first.
    wrong = verdict.mismatches if len(verdict.mismatches) > 1 else ()
    return [
        f"{verdict.test}: {verdict.reason}",
        *(f"  {one.what}: got {one.got}, expected {one.expected}" for one in wrong),
        f"  rests on {claim.source}",
        *_details(verdict, evidence),
        *(_of_program(claim, evidence.seen) if isinstance(evidence, ExitEvidence) else []),
    ]


def _of_program(claim: Claim[Any], seen: Observation) -> list[str]:
    """What a real VMM printed, the last lines of each step."""
    if not (isinstance(claim, ExitClaim) and claim.asks.runs_programs):
        return []
    # Here: only a run with --vmm has programs.
    from sysevent.decode.program import read_program

    lines = []
    for label, answer in seen.answers.items():
        ended = read_program(answer)
        lines.append(f"  the program at {label!r}: {ended}")
        text = (ended.output + ended.errors + ended.side).decode("ascii", "replace")
        lines += [f"    {line}" for line in last_lines(text, _PRINTED)]
    return lines


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
    wrong = {label: _of_exit(label, verdict.mismatches, seen.exits) for label in seen.exits}
    shown = [label for label in wrong if wrong[label]] or list(wrong)[:_EXITS]
    for label in shown:
        raw = seen.exits[label]
        marked = "; ^^ marks what is wrong" if any(one.span for one in wrong[label]) else ""
        lines.append(f"  kvm_run at {label!r}, poison {poison(raw)}{marked}:")
        lines += [f"    {line}" for line in dump(raw, wrong[label])]
    if left := [repr(label) for label in wrong if label not in shown]:
        lines.append(f"  kvm_run at {', '.join(left)}: in run.jsonl")
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


def _of_exit(label: str, wrong: tuple[Mismatch, ...], labels: Iterable[str]) -> tuple[Mismatch, ...]:
    """The mismatches of one exit, each called as its member. Without a label it is that of "exit".

    If no exit has that name, bytes are marked in all of them.
    """
    own = []
    for one in wrong:
        named = next((name for name in labels if one.what == name or one.what.startswith(f"{name}: ")), None)
        everywhere = "exit" not in labels and one.span is not None
        if named == label or (named is None and (label == "exit" or everywhere)):
            own.append(msgspec.structs.replace(one, what=one.what.removeprefix(f"{label}: ")))
    return tuple(own)


def dump(raw: RawExit, wrong: tuple[Mismatch, ...]) -> list[str]:
    """Return the first bytes of kvm_run in hexadecimal; below each row with a wrong member its marks, and its name."""
    spans = [mismatch.span for mismatch in wrong if mismatch.span]
    last = max([_SHOWN, *(min(end, start + _ROW) for start, end in spans)])
    text = []
    for at in range(0, min(last, len(raw.head)), _ROW):
        text.append(f"{at:3}  {raw.head[at : at + _ROW].hex(' ')}")
        row = set(range(at, at + _ROW))
        marked = {n for start, end in spans for n in range(start, end)} & row
        # Marks below a whole row tell nothing: a union is wrong as a whole.
        if marked and len(marked) < _ROW:
            marks = " ".join("^^" if n in marked else "  " for n in range(at, at + _ROW)).rstrip()
            names = [one.what for one in wrong if one.span and not row.isdisjoint(range(*one.span))]
            text.append(f"     {marks}  {', '.join(dict.fromkeys(names))}")
    return text
