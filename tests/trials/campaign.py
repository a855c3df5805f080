"""Trials in a row: the clean run that all are compared with, a fault and the run after it, and combinations."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from trials.all import FAULTS
from trials.catalogue import Fault
from trials.trial import Outcome, Trial, problems


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
    wrong = problems(found, clean, same=fault.same)
    wrong += fault.check(found) if fault.check else []
    wrong += [f"the run after it: {one}" for one in problems(after, clean, same=True)]
    return wrong, found, after


def combine(chance: random.Random) -> Fault:
    """Two faults of different kinds as one."""
    possible = [one for one in FAULTS.values() if not (one.obstacle and one.obstacle())]
    while True:
        one, other = chance.sample(possible, 2)
        if one.kind != other.kind:
            break

    def inject(trial: Trial, chance: random.Random) -> None:
        one.inject(trial, chance)
        other.inject(trial, chance)

    def check(found: Outcome) -> list[str]:
        return [wrong for fault in (one, other) if fault.check for wrong in fault.check(found)]

    name = f"{one.name} + {other.name}"
    return Fault(name, "", inject, same=one.same and other.same, check=check)
