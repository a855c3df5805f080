"""How far a run is, as text."""

import pytest

from sysevent.engine.stage import ANSWERED, PREPARING, WAITING, Stage
from sysevent.model import Status
from sysevent.plugin.status_lines import TargetState, block, heartbeat, text

PASS, SKIP, FAIL = Status.PASS, Status.SKIP, Status.FAIL


def state(done=0, total=9, counts=None, stage=None, name="a"):
    return TargetState(name, done, total, counts or {}, stage)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (state(), "waiting"),
        (state(stage=PREPARING), "preparing"),
        (state(stage=WAITING), "waiting"),
        (state(stage=Stage("booting")), "booting"),
        (state(stage=Stage("asking")), "asking"),
        (state(stage=Stage("asking", 0, 141)), "asking 0 of 141"),
        (state(2, counts={PASS: 2}, stage=Stage("asking", 41, 141)), "asking 41 of 141"),
        (state(stage=ANSWERED), "judging 0 of 9"),
        (state(3, counts={PASS: 1, SKIP: 1, FAIL: 1}, stage=ANSWERED), "judging 3 of 9; 1 FAIL, 1 SKIP"),
        # It cannot be started, or another process has it.
        (state(3, counts={SKIP: 3}, stage=WAITING), "judging 3 of 9; 3 SKIP"),
        (state(3, counts={PASS: 3}), "judging 3 of 9"),
        (state(9, counts={PASS: 7, SKIP: 2}, stage=ANSWERED), "9 judged: 7 PASS, 2 SKIP"),
        (state(9), "9 judged: no verdicts"),
        (state(10), "9 judged: no verdicts"),
    ],
)
def test_text(found, words):
    assert text(found) == words


def test_block():
    """One line for each target, in columns."""
    assert block([state(name="a"), state(9, name="long")], 80, 22) == [
        "  a     waiting",
        "  long  9 judged: no verdicts",
    ]


@pytest.mark.parametrize("width", [0, 1, 5, 10, 20, 80])
@pytest.mark.parametrize("height", [-1, 0, 1, 2, 5, 30])
def test_every_size(width, height):
    """No line reaches the last column, where it could wrap, and no line is above the screen."""
    lines = block([state(9 * (n < 7), name=f"target-{n}") for n in range(12)], width, height)
    assert len(lines) <= max(0, height)
    assert all(len(line) < max(1, width) for line in lines)


def test_more_targets_than_lines():
    """Those that are not finished are shown, and how many there are."""
    states = [state(9 * (n < 10), name=f"t{n}") for n in range(12)]
    assert block(states, 80, 5) == ["  t10  waiting", "  t11  waiting", "  12 targets, 10 of them finished"]


def test_heartbeat():
    states = [state(9, name="a"), state(name="b", stage=Stage("booting")), state(name="c")]
    assert heartbeat(states, 10.04) == "after 10 s: b booting; c waiting"


def test_a_heartbeat_of_many():
    """It is one line of limited length."""
    line = heartbeat([state(name=f"t{n}") for n in range(100)], 3600)
    assert line.endswith("; t5 waiting; 94 more targets")
