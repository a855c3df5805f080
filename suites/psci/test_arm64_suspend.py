"""What a VMM reads when an arm64 guest suspends itself, and when something wakes it."""

import pytest


@pytest.mark.claims("arm64.psci.suspend*", "arm64.suspend.refused", "arm64.suspend.asleep")
def test_suspend(probe, expected, claim):
    """SYSTEM_SUSPEND exits as SUSPEND when userspace asked for it, and leaves the vCPU as it was."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.suspend.wakeup*", "arm64.wakeup.*")
def test_wakeup(probe, expected, claim):
    """An interrupt for a suspended vCPU exits as WAKEUP, until userspace makes it runnable."""
    assert expected(claim) == probe(claim)
