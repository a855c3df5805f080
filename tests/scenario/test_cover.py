"""A scenario that records which code of the kernel it executes."""

import pytest

from sysevent import wire
from sysevent.decode import kcov
from sysevent.errors import BadWire
from sysevent.scenario import description, request
from sysevent.scenario.cover import WORDS, Cover
from sysevent.scenario.steps import Scenario
from sysevent.wire import Op, Result, State

ASKED = Scenario("arm64.x", "arm64", (Cover("begin", WORDS), Cover("end")))


def decode(*results):
    return request.decode(ASKED, {}, "arm64", wire.Reply(State.DONE, 0, results))


def test_neither_step_must_succeed():
    """A kernel without KCOV answers the rest of the scenario all the same."""
    body, _ = request.encode(ASKED, {})
    assert body[8:].hex() == "120000000400000000000100120000000400000000000000"


def test_both_are_answers():
    found = decode(Result(Op.COVER, 0, -1, 2, b""), Result(Op.COVER, 0, 0, 0, bytes(24)))
    assert found.answers["begin"].errno == 2
    assert found.answers["end"].data == bytes(24)


@pytest.mark.parametrize("sizes", [(1, 16), (0, kcov.LONGEST + 1)])
def test_hostile_sizes(sizes):
    with pytest.raises(BadWire, match="which is not what it gives"):
        decode(*(Result(Op.COVER, 0, 0, 0, bytes(size)) for size in sizes))


def test_in_words():
    assert list(description.lines(ASKED)) == [
        "record the addresses that the kernel executes -> 'begin'",
        "return the addresses that the kernel executes -> 'end'",
    ]
