"""How long a Wait may take on a guest whose events do not come."""

import msgspec
import pytest
from fakes import CONTROL

from sysevent.arches import ARCHITECTURES
from sysevent.engine.controls import Controls
from sysevent.engine.request import Request
from sysevent.model import Observation, RawExit
from sysevent.scenario import steps
from sysevent.scenario.request import encode
from sysevent.scenario.steps import Scenario

ABI = ARCHITECTURES["x86_64"].abis[0]
PASSED = Observation("x86_64.control", "x86_64", "x86_64", {}, {}, {})


class Passes:
    """A control that every answer passes."""

    scenario = CONTROL.scenario

    @staticmethod
    def fault(_answer):
        return ""


def session(milliseconds, *, kicked, control=0.005):
    """The controls of a session in which a Wait of so many milliseconds was answered, and a control was passed."""
    asked = Scenario("x86_64.a", "x86_64", (steps.Wait("exit", milliseconds=milliseconds),))
    exit_ = msgspec.structs.replace(RawExit(0, 0, False, 1, 0, b"", 0, 0, ()), kicked=kicked)
    found = Controls("a", Passes())
    found.answered(
        Request(asked, ABI), Observation("x86_64.a", "x86_64", "x86_64", {"exit": exit_}, {}, {}), 0
    )
    found.sent(Request(CONTROL.scenario, ABI))
    assert len(list(found.judge(PASSED, control))) == 1
    return found


def test_all_the_time_of_the_scenario_at_first():
    assert Controls("a", Passes()).patience is None
    assert session(3000, kicked=False).patience is None


def test_short_waits_that_are_meant_to_end_by_a_signal():
    assert session(50, kicked=True).patience is None


@pytest.mark.parametrize(("control", "patience"), [(0.0, 1000), (0.005, 1000), (0.02, 2000), (1.0, 100_000)])
def test_less_after_a_watchdog(control, patience):
    """A hundred controls, as slow as the machine is; a second at least."""
    assert session(3000, kicked=True, control=control).patience == patience


def test_a_wait_gets_no_more_than_its_scenario_says():
    asked = Scenario("x86_64.a", "x86_64", (steps.Wait("exit", milliseconds=1500), steps.Wait("second")))
    body, deadline = encode(asked, {})
    shorter, earlier = encode(asked, {}, 2000)
    assert deadline - earlier == 1000
    assert len(body) == len(shorter)
    assert body != shorter
    assert encode(asked, {}, 3000) == (body, deadline)
