"""What is known about mutants is kept from run to run."""

import pytest

from sysevent.errors import UsageError
from sysevent.model import Status
from sysevent.sensitivity.state import NAME, Asked, Built, Decided, State
from sysevent.sensitivity.verdicts import Fate, Result, Verdicts

BUILT = Built("original", "m1", "ab")
ASKED = Asked("original", "asking", Verdicts({"a": Status.PASS}, "original"))
DECIDED = Decided("original", "asking", "m1", Result(Fate.KILLED, killers=("a",)), 1.5)


@pytest.fixture
def written(tmp_path):
    state = State(tmp_path)
    for record in (BUILT, ASKED, DECIDED):
        state.add(record)
    return tmp_path


def test_read_again(written):
    state = State(written)
    assert state.built("original", "m1") == BUILT
    assert state.asked("original", "asking") == ASKED.verdicts
    assert state.decided("original", "asking", "m1") == DECIDED


def test_known_by_content(written):
    state = State(written)
    assert state.built("another kernel", "m1") is None
    assert state.decided("original", "other claims", "m1") is None
    assert state.latest("original", "m1") == DECIDED


def test_latest_counts(written):
    later = Decided("original", "other claims", "m1", Result(Fate.SURVIVED), 1.0)
    State(written).add(later)
    state = State(written)
    assert state.latest("original", "m1") == later
    assert state.decided("original", "asking", "m1") == DECIDED


def test_incomplete_line_is_dropped(written):
    path = written / NAME
    path.write_bytes(path.read_bytes()[:-10])
    state = State(written)
    assert state.decided("original", "asking", "m1") is None
    state.add(DECIDED)
    assert State(written).decided("original", "asking", "m1") == DECIDED


def test_damaged_line(written):
    path = written / NAME
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(UsageError, match=r"line 1: not a record: .*; name another --results"):
        State(written)


def test_directory_without_a_file(tmp_path):
    assert State(tmp_path).built("original", "m1") is None
