"""Faults of tests/trials are injected into real runs: no wrong verdict, no hang, no process and no file left.

Each takes two runs of about two seconds, so that all take a quarter of an hour. Without more words forty are injected,
which SYSEVENT_SEED=NUMBER chooses, some of every module, and four combinations of two: two minutes on a quiet machine
with two cores. By hand:

    SYSEVENT_FAULTS=all SYSEVENT_CHAOS=200 ./sysevent test tests/system/test_faults.py

The table of docs/soundness.md is printed by `python -m trials.measure` (see there).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from trials.all import FAULTS
from trials.campaign import combine, judge, prime, sample
from trials.catalogue import Fault
from trials.trial import Outcome

SEED = int(os.environ.get("SYSEVENT_SEED", "1"))
CHOSEN = list(FAULTS.values()) if os.environ.get("SYSEVENT_FAULTS") == "all" else sample(20, SEED)
COMBINATIONS = int(os.environ.get("SYSEVENT_CHAOS", "4"))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of all trials. It is the same for each, since paths of the cache are in QEMU's command line."""
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(scope="session")
def clean(place: Path, everything_cached: Path) -> Outcome:
    """A run without a fault; afterwards place/base is a cache with all that it needs."""
    if place.stat().st_dev != everything_cached.stat().st_dev:
        pytest.skip(
            f"{place} and {everything_cached} are on two file systems, and each trial links the files of the cache: "
            "--basetemp with a directory on that of the cache"
        )
    return prime(place, everything_cached)


@pytest.fixture
def no_obstacle(fault: Fault) -> None:
    """Skip a fault that cannot be injected here."""
    why = fault.obstacle() if fault.obstacle else ""
    if why:
        pytest.skip(why)


@pytest.mark.usefixtures("no_obstacle")
@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name)
def test_a_fault_never_yields_a_wrong_verdict(fault: Fault, place: Path, clean: Outcome) -> None:
    """No wrong verdict, no hang, no process and no file left; the next run without the fault is a clean one."""
    wrong, found, _ = judge(fault, place, SEED, clean)
    assert not wrong, "\n".join([*wrong, "", found.output[-3000:]])


@pytest.mark.parametrize("number", range(COMBINATIONS))
def test_two_faults_never_yield_a_wrong_verdict(number: int, place: Path, clean: Outcome) -> None:
    """As for one fault; the seed chooses the combinations."""
    fault = combine(random.Random(f"{SEED} {number}"))
    wrong, found, _ = judge(fault, place, SEED, clean)
    assert not wrong, "\n".join([fault.name, *wrong, "", found.output[-3000:]])
