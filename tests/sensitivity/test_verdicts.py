"""What becomes of a mutant, by the verdicts."""

import pytest

from sysevent.model import Status
from sysevent.sensitivity.verdicts import Fate, Rate, Verdicts, judge, unusable

ORIGINAL = {
    "a": Status.PASS,
    "b": Status.PASS,
    "c": Status.DONE,
    "d": Status.SKIP,
    "e": Status.FAIL,
}


def fate(obstacle="", **changes):
    statuses = ORIGINAL | {claim: Status(status) for claim, status in changes.items()}
    return judge(ORIGINAL, Verdicts(statuses, "ab", obstacle))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, Fate.SURVIVED),
        ({"a": "FAIL"}, Fate.KILLED),
        ({"a": "FAIL", "b": "MISS"}, Fate.KILLED),
        ({"d": "FAIL"}, Fate.KILLED),
        ({"a": "DONE"}, Fate.NOTICED),
        ({"a": "DONE", "b": "MISS"}, Fate.INCONCLUSIVE),
        ({"a": "MISS"}, Fate.INCONCLUSIVE),
        ({"a": "ERROR"}, Fate.INCONCLUSIVE),
        ({"a": "SKIP"}, Fate.SURVIVED),
        # What the original does as well shows nothing.
        ({"e": "FAIL"}, Fate.SURVIVED),
        ({"c": "PASS"}, Fate.SURVIVED),
        ({"e": "PASS"}, Fate.SURVIVED),
    ],
)
def test_fate(changes, found):
    assert fate(**changes).fate is found


def test_claims_are_named():
    found = fate(a="FAIL", b="DONE", d="MISS")
    assert (found.killers, found.noticed, found.missed) == (("a",), ("b",), ("d",))


def test_skips_of_a_survivor_are_said():
    assert fate(a="SKIP").reason == "1 claims are skipped"


def test_run_that_did_not_end():
    """What it found counts, and what it did not find does not make a survivor."""
    assert fate(obstacle="not finished after 60 s").fate is Fate.INCONCLUSIVE
    assert fate(obstacle="not finished after 60 s").reason == "not finished after 60 s"
    assert fate(obstacle="not finished after 60 s", a="FAIL").fate is Fate.KILLED


def test_kernel_without_verdicts():
    assert judge(ORIGINAL, Verdicts({})).fate is Fate.INCONCLUSIVE


@pytest.mark.parametrize(
    ("statuses", "obstacle", "why"),
    [
        (ORIGINAL, "", ""),
        (ORIGINAL, "not finished", "not finished"),
        (ORIGINAL | {"a": Status.MISS}, "", "1 claims have no result, such as a"),
        ({"a": Status.SKIP}, "", "no claim holds"),
        ({}, "", "no claim holds"),
    ],
)
def test_original_as_a_base(statuses, obstacle, why):
    assert unusable(Verdicts(statuses, "ab", obstacle)) == why


def test_rate():
    fates = [Fate.KILLED] * 6 + [Fate.NOTICED, Fate.SURVIVED, Fate.INCONCLUSIVE] + [Fate.EQUIVALENT] * 5
    rate = Rate.of([*fates, Fate.NOT_BUILT, Fate.DUPLICATE])
    assert (rate.counted, rate.share(Fate.KILLED)) == (9, 6 / 9)
    assert Rate.of([Fate.EQUIVALENT]).share(Fate.KILLED) == 1
