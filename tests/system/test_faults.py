"""Every fault of tests/trials is injected into a real run, and must not yield a wrong verdict, a hang, or leavings."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from trials.all import FAULTS
from trials.campaign import attempt, combine, prime
from trials.catalogue import Fault
from trials.trial import Outcome, problems

# Another one can be tried with SYSEVENT_SEED=NUMBER.
SEED = int(os.environ.get("SYSEVENT_SEED", "1"))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of all trials. It is the same for each, since paths of the cache are in QEMU's command line."""
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(scope="session")
def clean(place: Path, everything_cached: Path) -> Outcome:
    """A run without a fault; afterwards place/base is a cache with all that it needs."""
    return prime(place, everything_cached)


@pytest.fixture
def no_obstacle(fault: Fault) -> None:
    """Skip a fault that cannot be injected here."""
    why = fault.obstacle() if fault.obstacle else ""
    if why:
        pytest.skip(why)


@pytest.mark.usefixtures("no_obstacle")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_fault_never_yields_a_wrong_verdict(fault: Fault, place: Path, clean: Outcome) -> None:
    """No wrong verdict, no hang, no process and no file left; the next run without the fault is a clean one."""
    found, after = attempt(fault, place, SEED)
    wrong = problems(found, clean, same=fault.same)
    wrong += [f"the run after it: {one}" for one in problems(after, clean, same=True)]
    assert not wrong, "\n".join([*wrong, "", found.output[-3000:]])


# Combinations of two faults; by hand SYSEVENT_CHAOS=200.
COMBINATIONS = int(os.environ.get("SYSEVENT_CHAOS", "8"))


@pytest.mark.parametrize("number", range(COMBINATIONS))
def test_two_faults_never_yield_a_wrong_verdict(number: int, place: Path, clean: Outcome) -> None:
    """As for one fault; the seed chooses the combinations."""
    fault = combine(random.Random(f"{SEED} {number}"))
    found, after = attempt(fault, place, SEED)
    wrong = problems(found, clean, same=fault.same)
    wrong += [f"the run after it: {one}" for one in problems(after, clean, same=True)]
    assert not wrong, "\n".join([fault.name, *wrong, "", found.output[-3000:]])
