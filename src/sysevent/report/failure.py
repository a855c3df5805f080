"""The explanation of a failed claim: what is wrong, and the raw bytes with the wrong fields marked. No I/O."""

from __future__ import annotations

from typing import Any

from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.model import Mismatch, RawExit, Verdict

# Bytes per row.
_ROW = 16
# Bytes of kvm_run that are always shown. More are shown if a wrong field lies behind them.
_SHOWN = 64


def explain(claim: Claim[Any], verdict: Verdict, evidence: ExitEvidence | HeaderFacts) -> list[str]:
    """The lines of a broken claim, the most telling first; without the logs and the command that runs it again."""
    return [
        f"{verdict.test}: {verdict.reason}",
        *(f"  {wrong.what}: got {wrong.got}, expected {wrong.expected}" for wrong in verdict.mismatches),
        f"  rests on {claim.source}",
        *(_of_exits(verdict, evidence) if isinstance(evidence, ExitEvidence) else _of_headers(evidence)),
    ]


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
    return lines


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
