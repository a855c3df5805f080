"""Who catches what: the mutants by what kills them: our claims, suites of others, and what a real VMM shows. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sysevent.sensitivity.drive import Judged, Measurement
from sysevent.sensitivity.verdicts import COUNTED, Fate

OURS = "claims"
"""How tables name the claims of this project."""


def killers(one: Judged) -> Sequence[str]:
    """Return what kills a mutant besides claims: SUITE.PROGRAM, or VMM.EVENT."""
    return [name for result in one.beside.values() for name in result.killers]


def catching(one: Judged) -> tuple[str, ...]:
    """Return the suites and VMMs that kill a mutant, ours first."""
    ours = (OURS,) if one.result.fate is Fate.KILLED else ()
    return (*ours, *(name for name, result in one.beside.items() if result.fate is Fate.KILLED))


def compared(found: Measurement) -> list[Judged]:
    """Return the mutants that count and were given to all."""
    return [
        one for one in found.judged if one.result.fate in COUNTED and found.beside.keys() == one.beside.keys()
    ]


def lines(found: Measurement) -> Iterable[str]:
    """Yield the table of who catches what, and each mutant that others kill and claims do not."""
    chosen = compared(found)
    yield f"| killed by | of {len(chosen)} mutants | alone | no result |"
    yield "|---|---:|---:|---:|"
    for name in (OURS, *found.beside):
        caught = [catching(one) for one in chosen if name in catching(one)]
        alone = sum(others == (name,) for others in caught)
        yield f"| {name} | {len(caught)} | {alone} | {_silent(chosen, name)} |"
    yield f"| none of them | {sum(not catching(one) for one in chosen)} | | |"
    for one in chosen:
        if killers(one) and OURS not in catching(one):
            yield f"{one.mutant.key} {one.mutant.title}: {one.result.fate}, and killed by {', '.join(killers(one))}"
    yield from _shown(chosen)


def _silent(chosen: Sequence[Judged], name: str) -> int:
    """On how many mutants a suite or VMM has no result, and nothing that differs."""
    results = (one.result if name == OURS else one.beside[name] for one in chosen)
    return sum(result.fate is Fate.INCONCLUSIVE for result in results)


def _shown(chosen: Sequence[Judged]) -> Iterable[str]:
    """What a user of a real VMM gets on the mutants that it kills."""
    for one in chosen:
        for result in one.beside.values():
            if result.fate is Fate.KILLED and result.reason:
                yield f"{one.mutant.key} {one.mutant.title}: {result.reason}"


def as_json(found: Measurement) -> dict[str, Any] | None:
    """Return the numbers of the table for programs; None if no others were asked."""
    if not found.beside:
        return None
    chosen, names = compared(found), (OURS, *found.beside)
    return {
        "original": {
            name: str(status) for base in found.beside.values() for name, status in base.statuses.items()
        },
        "mutants": len(chosen),
        "killed": {name: sum(name in catching(one) for one in chosen) for name in names},
        "killed_alone": {name: sum(catching(one) == (name,) for one in chosen) for name in names},
        "killed_by_none": sum(not catching(one) for one in chosen),
    }
