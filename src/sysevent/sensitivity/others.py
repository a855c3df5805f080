"""Who catches what: the mutants by which suite kills them, ours and those of others. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sysevent.sensitivity.drive import Judged, Measurement
from sysevent.sensitivity.verdicts import COUNTED, Fate

OURS = "claims"
"""How tables name the claims of this project."""


def killers(one: Judged) -> Sequence[str]:
    """Return the programs of others that kill a mutant, as SUITE.PROGRAM."""
    return () if one.peers is None else one.peers.killers


def catching(one: Judged) -> tuple[str, ...]:
    """Return the suites that kill a mutant, ours first."""
    ours = (OURS,) if one.result.fate is Fate.KILLED else ()
    return (*ours, *dict.fromkeys(name.partition(".")[0] for name in killers(one)))


def compared(found: Measurement) -> list[Judged]:
    """Return the mutants that count and were given to both."""
    return [one for one in found.judged if one.peers is not None and one.result.fate in COUNTED]


def lines(found: Measurement) -> Iterable[str]:
    """Yield the table of who catches what, and each mutant that another suite kills and ours does not."""
    chosen, suites = compared(found), _suites(found)
    yield f"| killed by | of {len(chosen)} mutants | alone |"
    yield "|---|---:|---:|"
    for suite in (OURS, *suites):
        caught = [catching(one) for one in chosen if suite in catching(one)]
        yield f"| {suite} | {len(caught)} | {sum(others == (suite,) for others in caught)} |"
    yield f"| none of them | {sum(not catching(one) for one in chosen)} | |"
    silent = sum(one.peers is not None and one.peers.fate is Fate.INCONCLUSIVE for one in chosen)
    if silent:
        yield f"programs of others have no result on {silent} of them, and none fails"
    for one in chosen:
        if killers(one) and OURS not in catching(one):
            yield f"{one.mutant.key} {one.mutant.title}: {one.result.fate}, and killed by {', '.join(killers(one))}"


def as_json(found: Measurement) -> dict[str, Any] | None:
    """Return the numbers of the table for programs; None if no others were asked."""
    if found.peers is None:
        return None
    chosen = compared(found)
    return {
        "original": {name: str(status) for name, status in found.peers.statuses.items()},
        "mutants": len(chosen),
        "killed": {suite: sum(suite in catching(one) for one in chosen) for suite in (OURS, *_suites(found))},
        "killed_alone": {
            suite: sum(catching(one) == (suite,) for one in chosen) for suite in (OURS, *_suites(found))
        },
        "killed_by_none": sum(not catching(one) for one in chosen),
    }


def _suites(found: Measurement) -> list[str]:
    statuses = found.peers.statuses if found.peers else {}
    return list(dict.fromkeys(name.partition(".")[0] for name in statuses))
