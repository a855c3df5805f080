"""Trials in a row: the clean run that all are compared with, a fault and the run after it, and combinations."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from trials.all import FAULTS
from trials.catalogue import Fault
from trials.trial import Outcome, Trial, problems

# Faults that start another run, and require that it succeeds.
_WITH_A_SECOND_RUN = ("two runs, one cache", "two runs, one results directory")


def prime(place: Path, cache: Path) -> Outcome:
    """Run without a fault until nothing is added to a copy of the cache, and keep that as place/base."""
    trial = Trial(place, cache)
    for _ in range(2):
        shutil.rmtree(trial.results, ignore_errors=True)
        found = trial.run()
    shutil.copytree(trial.cache, place / "base", copy_function=os.link, symlinks=True)
    assert set(found.verdicts.values()) <= {"PASS", "SKIP", "DONE"}, found.output
    assert found.code == 0, found.output
    return found


def attempt(fault: Fault, place: Path, seed: int) -> tuple[Outcome, Outcome]:
    """A run with a fault, and one after it, with the same cache and no fault."""
    trial = Trial(place, place / "base")
    try:
        fault.inject(trial, random.Random(f"{seed} {fault.name}"))
        found = trial.run()
    finally:
        trial.close()
    return found, trial.run(faulty=False)


def judge(fault: Fault, place: Path, seed: int, clean: Outcome) -> tuple[list[str], Outcome, Outcome]:
    """Inject a fault: what went wrong, and the outcomes of the run with it and of the one after it."""
    found, after = attempt(fault, place, seed)
    wrong = problems(found, clean, same=fault.same, instead=fault.instead)
    wrong += fault.check(found) if fault.check else []
    wrong += [f"the run after it: {one}" for one in problems(after, clean, same=True)]
    return wrong, found, after


def sample(count: int, seed: int) -> list[Fault]:
    """Return so many faults, chosen by the seed, of each module about the same share; none that are slow."""
    chance = random.Random(seed)
    kinds: dict[str, list[Fault]] = {}
    for fault in FAULTS.values():
        if not fault.slow:
            kinds.setdefault(fault.kind, []).append(fault)
    total = sum(map(len, kinds.values()))
    return [
        fault for kind in kinds.values() for fault in chance.sample(kind, round(len(kind) * count / total))
    ]


def _rank(fault: Fault) -> int:
    """Return when a fault is injected: some kernels run once before, and nothing can be injected on a full disk."""
    return {"trials.of_kernels": 0, "trials.of_resources": 2}.get(fault.kind, 1)


def _fit(one: Fault, other: Fault) -> bool:
    """Return whether two faults can be combined: a second run must end well, which the other may prevent."""
    second = not {one.name, other.name}.isdisjoint(_WITH_A_SECOND_RUN)
    return one.kind != other.kind and (not second or (one.same and other.same))


def combine(chance: random.Random) -> Fault:
    """Two faults of different kinds as one; none that is slow."""
    possible = [one for one in FAULTS.values() if not one.slow and not (one.obstacle and one.obstacle())]
    while True:
        one, other = sorted(chance.sample(possible, 2), key=_rank)
        if _fit(one, other):
            break
    # Another VMM has to be compiled, which a fault of the machine may prevent.
    uncompiled = {one.kind, other.kind} == {"trials.of_vmms", "trials.of_resources"}

    def inject(trial: Trial, chance: random.Random) -> None:
        one.inject(trial, chance)
        other.inject(trial, chance)

    return Fault(
        f"{one.name} + {other.name}",
        "",
        inject,
        same=one.same and other.same and not uncompiled,
        instead=one.instead | other.instead | ({"ERROR"} if uncompiled else set()),
        check=one.check if one.kind == "trials.of_kernels" else None,
    )
