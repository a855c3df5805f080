"""What a VMM reads when an arm64 guest calls PSCI to turn itself off or to start again."""

import pytest


@pytest.mark.claims("arm64.psci.off", "arm64.psci.off.*")
def test_system_off(probe, expected, claim):
    """SYSTEM_OFF exits as SHUTDOWN with one datum, no flag set."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.psci.reset", "arm64.psci.reset.*")
def test_system_reset(probe, expected, claim):
    """SYSTEM_RESET exits as RESET with one datum, no flag set."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.psci.reset2*")
def test_system_reset2(probe, expected, claim):
    """SYSTEM_RESET2 exits as RESET with the RESET2 flag, and the guest's arguments are where it put them."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.psci.off2*")
def test_system_off2(probe, expected, claim):
    """SYSTEM_OFF2 exits as SHUTDOWN with the OFF2 flag; what is no hibernation is refused."""
    assert expected(claim) == probe(claim)
