"""What is made once, or failed once."""

import pytest

from sysevent.errors import NotLeased
from sysevent.remembered import remembered


def test_a_value():
    known, made = {}, []
    assert [remembered(known, "a", lambda: made.append("a") or 1) for _ in range(2)] == [1, 1]
    assert remembered(known, "b", lambda: 2) == 2
    assert made == ["a"]


def test_an_error_is_raised_by_each_call():
    known, tried = {}, []

    def fail():
        tried.append(1)
        raise NotLeased("others hold it")

    raised = []
    for _ in range(2):
        with pytest.raises(NotLeased, match="others hold it") as error:
            remembered(known, "a", fail)
        raised.append(error.value)
    assert tried == [1]
    # Each has a traceback of its own.
    assert raised[0] is not raised[1]


def test_a_defect_is_not_remembered():
    known = {}
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            remembered(known, "a", lambda: 1 // 0)
    assert not known
