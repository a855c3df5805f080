"""The rules of controls, without a guest: what is doubtful, when a control is due, and which scenario is to blame."""

import pytest
from fakes import CONTROL, scenario
from sample_exits import KICKED, event

from sysevent.engine.controls import Controls, IllGuests, expense, is_doubtful
from sysevent.errors import (
    BadWire,
    EventUnasked,
    GuestDistrusted,
    GuestIll,
    HarnessError,
    NoKvm,
    StepRefused,
    VcpuStuck,
    copy_of,
)
from sysevent.model import Answer, Observation, RawExit
from sysevent.scenario.control import CONTROLS
from sysevent.scenario.steps import Scenario, Wait

PASSED = Observation("x86_64.control", "x86_64", "x86_64", {}, {"control": Answer(0, 0, b"")}, {})
ANY = scenario("x86_64.any")


def waiting(milliseconds, raw):
    """A scenario with one Wait, and its observation."""
    return Scenario("x86_64.a", "x86_64", (Wait("exit", 0, milliseconds),)), Observation(
        "x86_64.a", "x86_64", "x86_64", {"exit": raw}, {}, {}
    )


def test_what_is_doubtful():
    for answer in (VcpuStuck(""), BadWire(""), HarnessError(""), waiting(50, KICKED)[1]):
        assert is_doubtful(answer)
    for answer in (StepRefused(""), NoKvm(""), waiting(50, event())[1]):
        assert not is_doubtful(answer)


def test_what_is_expensive():
    """Not a Wait that must end with a signal, after 50 ms."""
    assert expense(*waiting(50, KICKED)) == 0
    assert expense(*waiting(3000, event())) == 0
    assert expense(*waiting(3000, KICKED)) == 1
    assert expense(waiting(3000, KICKED)[0], VcpuStuck("")) == 2


class Sent:
    """A request."""

    abi = None

    def __init__(self, asked=ANY):
        self.scenario = asked


def test_due():
    """After an answer that is doubtful, the next request is a control."""
    found = Controls("x", CONTROL)
    assert found.due(end_of_burst=False)
    found.sent(Sent(CONTROL.scenario))
    assert not found.due(end_of_burst=True)
    for _ in range(31):
        found.sent(Sent())
    assert (found.due(end_of_burst=False), found.due(end_of_burst=True)) == (False, True)
    found.sent(Sent())
    assert found.due(end_of_burst=False)
    found.sent(Sent(CONTROL.scenario))
    found.answered(Sent(), VcpuStuck("stuck"), 0)
    assert not found.due(end_of_burst=False), "one is in flight behind it"
    for _ in range(2):
        list(found.judge(PASSED))
    found.answered(Sent(), VcpuStuck("stuck"), 0)
    assert found.due(end_of_burst=False)


def test_one_long_kick_is_not_too_many():
    """A second one in a row is, unless a control has passed, or an answer came at once."""
    asked, kicked = waiting(3000, KICKED)
    for between in (None, "control", "answer"):
        found = Controls("x", CONTROL)
        found.answered(Sent(asked), kicked, 5)
        if between == "control":
            list(found.judge(PASSED))
        elif between == "answer":
            found.answered(Sent(asked), waiting(3000, event())[1], 5)
        if between:
            found.answered(Sent(asked), kicked, 5)
        else:
            with pytest.raises(GuestDistrusted, match="with 5 scenarios waiting"):
                found.answered(Sent(asked), kicked, 5)


def test_blame():
    """A scenario that was alone in one ill guest, and in another one as well, explains both."""
    a, b = ("a", "x86_64"), ("b", "x86_64")
    found = IllGuests()
    found.add([a, b], GuestIll("first"))
    found.add([b], GuestIll("second"))
    assert (found.blame(b), found.blame(a)) == ("first; then, in another guest: second", "")
    assert not found.hopeless
    found.add([], GuestIll("third"))
    assert not found.hopeless
    found.add([], GuestIll("fourth"))
    assert str(found.hopeless) == "fourth"


def test_two_ill_guests_that_nothing_explains():
    found = IllGuests()
    found.add([("a", "x86_64")], GuestIll("first"))
    found.add([("b", "x86_64")], GuestIll("second"))
    assert str(found.hopeless) == "second"


def control_that_gave(reason, kind=1, ret=0):
    """The observation of a control that ended with this exit reason, and with this type of event."""
    head = bytearray(320)
    head[8:12], head[32:36] = reason.to_bytes(4, "little"), kind.to_bytes(4, "little")
    raw = RawExit(ret, 0, False, 1, 0xAA, bytes(head), 0, 0, ())
    return Observation("x86_64.control", "x86_64", "x86_64", {"exit": raw}, {}, {})


@pytest.mark.parametrize(
    ("answers", "unasked"),
    [
        ([control_that_gave(24)] * 2, True),
        ([control_that_gave(24), control_that_gave(24, kind=2)], False),
        ([control_that_gave(24), control_that_gave(8)], False),
        ([control_that_gave(8), control_that_gave(24)], False),
        ([control_that_gave(24, ret=-1)] * 2, False),
    ],
)
def test_events_that_nothing_asked_for(answers, unasked):
    """They say something of the kernel if two guests gave the same one; else they are ill, and that is all."""
    found = IllGuests()
    for answer in answers:
        asked = Controls("x86_64-tcg", CONTROLS["x86_64"])
        asked.sent(Sent(CONTROLS["x86_64"].scenario))
        with pytest.raises(GuestIll) as error:
            list(asked.judge(answer))
        found.add([], error.value)
    assert isinstance(found.hopeless, EventUnasked) is unasked
    copied = copy_of(found.hopeless)
    assert getattr(copied, "seen", None) == (answers[1] if unasked else None)
