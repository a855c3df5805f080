"""What one test has gathered, from which its verdict is made."""

from __future__ import annotations

import msgspec
import pytest

from sysevent.contract.claim import Claim
from sysevent.contract.judge import Expectation
from sysevent.model import Facts, Observation
from sysevent.targets.spec import TargetSpec


class Case(msgspec.Struct):
    """One test on one target; filled while it runs."""

    target: TargetSpec
    abi: str
    facts: Facts
    claim: Claim | None = None
    expectation: Expectation | None = None
    seen: Observation | None = None
    seconds: float = 0.0


CASE = pytest.StashKey[Case]()
OWN_VERDICT = pytest.StashKey[bool]()  # another module makes this test's verdict: plugin/layout.py
