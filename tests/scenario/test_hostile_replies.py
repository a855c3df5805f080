"""Replies that are well-formed, and do not fit the steps that they answer."""

import pytest

from sysevent import wire
from sysevent.errors import BadWire
from sysevent.scenario import request
from sysevent.scenario.steps import File, Ioctl, Open, Read, Scenario, Sleep
from sysevent.wire import Result, State


def decode(steps, results):
    reply = wire.Reply(State.DONE, 0, tuple(results))
    return request.decode(Scenario("x86_64.test", "x86_64", steps), {}, "i386", reply)


@pytest.mark.parametrize(
    ("step", "ret", "body"),
    [
        (Read(0, 4, "x"), 0, b"123"),
        (Read(0, 4, "x"), 0, b""),
        (Read(0, 4, "x"), 0, b"12345"),
        (Ioctl("vm", 1, buffer=b"1234", label="x"), 0, b""),
        (Ioctl("vm", 1, buffer=b"1234", label="x"), -1, b"12"),
        (Ioctl("vm", 1, label="x"), 0, b"1"),
        (File("/x", "x", 0, 4), 0, b"12345"),
        (Open("/x", "x"), 0, b"1"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bytes | int) else None,
)
def test_an_answer_of_another_size(step, ret, body):
    """BadWire: its missing bytes would count as zeros."""
    with pytest.raises(BadWire, match=f"a result of {len(body)} bytes for {type(step).__name__} 'x'"):
        decode((step,), (Result(request.OPS[type(step)], 0, ret, 22 if ret else 0, body),))


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((), "no result for Sleep"),
        ((Result(10, 0, 0, 0, b""),) * 2, "more results than there were steps"),
    ],
)
def test_a_reply_of_another_length(results, words):
    """BadWire if a reply has fewer or more results than the request has steps."""
    with pytest.raises(BadWire, match=words):
        decode((Sleep(1),), results)
