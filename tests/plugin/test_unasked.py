"""An event that no guest asked for: FAIL of the claim about it, and MISS of all others."""

from types import SimpleNamespace

import msgspec
import pytest
from sample_exits import event

from sysevent.contract import catalogue
from sysevent.errors import EventUnasked
from sysevent.model import Observation, Status
from sysevent.plugin.case import Case
from sysevent.plugin.unasked import judge

SEEN = Observation("arm64.control", "arm64", "arm64", {"exit": event()}, {}, {})
GUEST = SimpleNamespace(kernel=SimpleNamespace(release="6.12.1"))


def judged(name, seen):
    """The case and the verdict of a claim, after guests whose controls gave this."""
    claim = catalogue.load().claim(name)
    case = Case(claim, "arm64-tcg", "arm64", native=True)
    return case, judge(claim, case, EventUnasked("it is ill", seen), GUEST)


def test_the_claim_about_it():
    """With the bytes, the kernel, and the guests that gave it."""
    case, verdict = judged("arm64.entry", SEEN)
    assert verdict is case.verdict
    assert verdict.status is Status.FAIL
    assert (case.kernel, case.confirmed) == ("6.12.1", 2)
    assert case.evidence.seen.exits == SEEN.exits


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("arm64.psci.off", SEEN),
        ("x86_64.entry", SEEN),
        ("arm64.entry", msgspec.structs.replace(SEEN, scenario="arm64.psci.off")),
        ("arm64.entry", None),
        ("arm64.kernel.log", SEEN),
    ],
)
def test_any_other(name, seen):
    """The guests were ill: nothing is known."""
    with pytest.raises(EventUnasked):
        judged(name, seen)
