"""Scenarios in words: every step of every claim has a line."""

import pytest

from sysevent.contract import catalogue
from sysevent.scenario import description
from sysevent.scenario.steps import Start, Wait, scenario_of


@pytest.mark.parametrize("scenario", catalogue.load().scenarios.values(), ids=lambda scenario: scenario.name)
def test_every_scenario(scenario):
    """What comes back is named where it is asked for, and no ioctl is a bare number."""
    lines = list(description.lines(scenario))
    text = "\n".join(lines)
    for step in scenario.steps:
        assert repr(step.label) in text if getattr(step, "label", "") else True
    assert "ioctl 0x" not in text
    assert all(lines)


def test_one_run_is_one_line():
    together = scenario_of("arm64", "x", Start(1), Wait("exit", 1, 50))
    assert list(description.lines(together)) == [
        "KVM_RUN of vCPU 1, kvm_run filled with 0xaa, 50 ms at most -> 'exit'"
    ]
    apart = scenario_of("arm64", "x", Start(0), Start(1), Wait("exit", 0))
    assert list(description.lines(apart)) == [
        "KVM_RUN of vCPU 0 begins",
        "KVM_RUN of vCPU 1 begins",
        "wait for KVM_RUN of vCPU 0, 3000 ms at most -> 'exit'",
    ]
