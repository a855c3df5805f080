"""What a VMM reads when a riscv64 guest calls the SBI system reset extension, or one of its neighbours."""

import pytest


@pytest.mark.claims("riscv64.srst.*")
def test_srst(probe, expected, claim):
    """The kind of reset is the event's type, and the reason is its one datum."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("riscv64.legacy.*")
def test_legacy(probe, expected, claim):
    """Legacy shutdown is an event where it is built, and none where it is not."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("riscv64.susp.*")
def test_system_suspend(probe, expected, claim):
    """SBI system suspend goes to userspace as an SBI exit, and never as a system event."""
    assert expected(claim) == probe(claim)
