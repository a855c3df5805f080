"""What every target is asked before anything is judged."""

from sysevent.abi.psci import Function
from sysevent.scenario.facts import CAPABILITIES


def test_every_psci_function_is_asked_for():
    """A new function needs its row in abi/psci.py alone."""
    labels = {step.label for step in CAPABILITIES["arm64"].steps if hasattr(step, "label")}
    assert {function.fact for function in Function} <= labels
