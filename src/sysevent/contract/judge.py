"""An expectation and an observation make a verdict. No I/O: the whole of it runs on recorded exits."""

from __future__ import annotations

from sysevent.contract.claim import Contract, Expectation
from sysevent.model import Level, Mismatch, Observation, Status, Verdict


def judge(expectation: Expectation, seen: Observation, *, strict: bool = False) -> Verdict:
    """The verdict, with every mismatch behind it.

    A broken promise is FAIL. Behaviour that is only observed and has changed is DONE with a note, and FAIL
    only when strict.
    """
    claim = expectation.claim
    wrong: list[Mismatch] = []
    for check in expectation.checks:
        found = check.mismatches(seen)
        wrong += found
        if found and check.gate:
            break
    if not wrong:
        words = claim.says
        if expectation.contract is Contract.FLAGS and claim.before is not None:
            words += f" Judged by the contract of {Contract.FLAGS}."
        return Verdict(claim.test, Status.PASS, claim.level, words)
    first = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    told = f"{first.what}: got {first.got}, expected {first.expected}{more}"
    if claim.level is Level.OBSERVED and not strict:
        note = f"Behaviour nobody promised has changed: {told}. {claim.says}"
        return Verdict(claim.test, Status.DONE, claim.level, note, tuple(wrong))
    return Verdict(claim.test, Status.FAIL, claim.level, f"{told}. {claim.says}", tuple(wrong))
