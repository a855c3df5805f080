"""sysevent explain: one claim in full, with its program, and what recorded kernels gave."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from sysevent import nearest
from sysevent.checkout import RECORDINGS
from sysevent.cli import show
from sysevent.contract import catalogue
from sysevent.contract.claim import PREFIX, Claim
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.terms import Terms
from sysevent.errors import NotApplicable, UsageError
from sysevent.report import explanation, records, run_log

# Names that are proposed for one that no claim has.
_PROPOSED = 3


def run(args: argparse.Namespace) -> int:
    """Print the explanation of a claim; UsageError, with the nearest names, if there is none. Return 0."""
    claim = _find(args.claim.removeprefix(f"{PREFIX}."))
    programs, recorded = dict[str, str](), list[str]()
    if isinstance(claim, ExitClaim):
        programs = catalogue.programs(claim)
        recorded = list(_recorded(claim))
    show("\n".join(explanation.lines(claim, programs, recorded)))
    return 0


def _find(name: str) -> Claim[Any]:
    """The claim of this name, or the only one that has it behind its architecture, or ends with it after a dot."""
    known = {claim.name: claim for claim in catalogue.load()}
    ending = [claim for other, claim in known.items() if other.partition(".")[2] == name] or [
        claim for other, claim in known.items() if other.endswith(f".{name}")
    ]
    if name in known or len(ending) == 1:
        return known.get(name) or ending[0]
    near = [claim.name for claim in ending] or nearest.names(name, known, _PROPOSED, tails=True)
    hint = f"did you mean {' or '.join(near[:_PROPOSED])}?" if near else "`sysevent list` prints all of them"
    raise UsageError(f"no claim is called {name!r}; {hint}")


def _recorded(claim: ExitClaim) -> Iterator[str]:
    """A line for each recorded kernel and ABI that ran the claim's scenario: its exits, and how it is judged."""
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        found = list(run_log.read(path))
        facts = {record.name: record.facts() for record in found if isinstance(record, records.Target)}
        for record in found:
            if not isinstance(record, records.Observation) or record.scenario != claim.asks.name:
                continue
            if claim.abi and record.abi != claim.abi:
                continue
            seen, of = record.seen(), facts[record.target]
            try:
                claim.require_applicable(of, Terms())
                verdict = str(claim.judge(ExitEvidence(of, seen)).status)
            except NotApplicable:
                verdict = "does not apply"
            exits = "; ".join(
                f"{label}: {explanation.exit_line(raw, seen)}" for label, raw in seen.exits.items()
            )
            yield f"{of.release} {record.abi}: {verdict}. {exits}"
