"""What a target will be asked, and what of it has no answer yet."""

from sysevent.engine.planned import Planned
from sysevent.engine.question import Key

FIRST, SECOND = Key("arm64.first", "arm64"), Key("arm64.second", "arm64")


def test_until_the_questions_are_known():
    found = Planned(lambda facts: (), complete=True)
    assert found.count is None
    assert not found.finished


def test_questions_and_answers():
    found = Planned(lambda facts: (), complete=True)
    found.plan = None
    found.add([FIRST, SECOND])
    assert (found.count, found.finished) == (2, False)
    assert found.awaits(FIRST)
    found.answered(FIRST)
    assert not found.awaits(FIRST)
    assert found.awaits(None)
    found.answered(SECOND)
    assert (found.count, found.finished, found.awaits(None)) == (2, True, False)


def test_a_plan_that_does_not_foresee_everything():
    """The guest must run on: for a test that asks any scenario, or after an error, or without a plan."""
    some = Planned(lambda facts: (), complete=False)
    broken = Planned(lambda facts: (), complete=True)
    broken.cannot_be_followed()
    for found in (some, broken, Planned(None, complete=True)):
        found.plan = None
        assert not found.finished
