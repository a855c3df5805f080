"""The decision table: from verdicts to the outcome of a revision, and its exit code for git."""

import pytest

from sysevent.bisect.outcome import Outcome, boot_failure, decide
from sysevent.model import Status

FAIL, ERROR, MISS, PASS, DONE, SKIP = Status


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([PASS], Outcome.GOOD),
        ([PASS, PASS], Outcome.GOOD),
        ([DONE], Outcome.GOOD),
        ([PASS, DONE], Outcome.GOOD),
        ([PASS, SKIP], Outcome.GOOD),
        ([FAIL], Outcome.BAD),
        ([PASS, FAIL], Outcome.BAD),
        ([FAIL, MISS], Outcome.BAD),
        ([FAIL, ERROR, SKIP], Outcome.BAD),
        ([PASS, MISS], Outcome.UNKNOWN),
        ([PASS, ERROR], Outcome.UNKNOWN),
        ([MISS], Outcome.UNKNOWN),
        ([SKIP, SKIP], Outcome.UNKNOWN),
        ([], Outcome.UNKNOWN),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, list) else None,
)
def test_table(statuses, outcome):
    """A revision is bad only by a FAIL, and good only by a PASS or DONE without a MISS or ERROR."""
    assert decide(statuses)[0] is outcome


def test_gap():
    """A claim that applies at both ends and is skipped in between makes the outcome UNKNOWN."""
    assert decide([PASS, SKIP], all_apply=True)[0] is Outcome.UNKNOWN
    assert decide([FAIL, SKIP], all_apply=True)[0] is Outcome.BAD


@pytest.mark.parametrize(("as_bad", "outcome"), [(False, Outcome.UNKNOWN), (True, Outcome.BAD)])
def test_boot_failure(as_bad, outcome):
    """A kernel that does not boot is skipped unless the user says otherwise."""
    assert boot_failure(as_bad) is outcome


def test_exit_codes_for_git():
    """git-bisect(1): 0 good, 1 bad, 125 skip."""
    assert [outcome.code for outcome in Outcome] == [0, 1, 125]


def test_reason_counts():
    """The reason says what was counted, worst first."""
    assert decide([PASS, PASS, FAIL])[1] == "1 FAIL, 2 PASS"
