"""The scenarios that every target runs before a claim is judged."""

from sysevent.abi.psci import Function
from sysevent.scenario.facts import CAPABILITIES


def test_every_psci_function_is_asked_for():
    """The facts of arm64 ask PSCI_FEATURES for each row of abi/psci.py, so that a new function needs only its row."""
    labels = {step.label for step in CAPABILITIES["arm64"].steps if hasattr(step, "label")}
    assert {function.fact for function in Function} <= labels
