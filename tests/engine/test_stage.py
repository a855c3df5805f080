"""What a target does at the moment, from what is known of its host."""

from types import SimpleNamespace

import pytest
from fakes import scenario

from sysevent.engine.question import Question
from sysevent.engine.stage import ANSWERED, PREPARING, WAITING, Stage, stage


def restarts(*, prepared=True, session=True, ready=False, origin="boot"):
    return SimpleNamespace(
        prepared=prepared, session=object() if session else None, ready=ready, origin=origin
    )


@pytest.mark.parametrize(
    ("found", "unanswered", "planned", "expected"),
    [
        (restarts(prepared=False, session=False), 3, None, PREPARING),
        (restarts(session=False), 3, None, WAITING),
        (restarts(origin="snapshot"), 3, None, Stage("restoring")),
        (restarts(origin="boot"), 3, None, Stage("booting")),
        (restarts(origin="running"), 3, None, Stage("connecting")),
        (restarts(ready=True), 3, None, Stage("asking")),
        (restarts(ready=True), 0, None, Stage("asking")),
        (restarts(ready=True), 100, 141, Stage("asking", 41, 141)),
        (restarts(ready=True), 0, 141, ANSWERED),
        # It was ended, or is not needed.
        (restarts(session=False), 0, 141, ANSWERED),
        # Lost, and not yet started again.
        (restarts(session=False), 5, 141, WAITING),
    ],
)
def test_stage(found, unanswered, planned, expected):
    assert stage(found, unanswered, planned) == expected


def test_an_asker(world):
    """Its stages, from the first question to the last answer."""
    many = [scenario(f"x86_64.{n}") for n in range(3)]
    asker = world.asker(world.opener("a"), options={"plan": lambda _: map(Question, many)})
    assert asker.stage == PREPARING
    asker.restarts.prepare()
    assert asker.stage == WAITING
    asker.observe(many[0])
    asker.wait()
    assert asker.stage == ANSWERED
    asker.close()
    assert asker.stage == ANSWERED
