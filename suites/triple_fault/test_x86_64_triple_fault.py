"""What a VMM reads when an x86 guest's CPU gives up: KVM_EXIT_SHUTDOWN, beside the system events."""

import pytest


@pytest.mark.claims("x86_64.triple_fault", "x86_64.triple_fault.*")
def test_triple_fault(probe, expected, claim):
    """A triple fault exits as KVM_EXIT_SHUTDOWN, whoever caused it, and has no fields."""
    assert expected(claim) == probe(claim)
