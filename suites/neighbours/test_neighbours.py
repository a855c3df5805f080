"""Fields of kvm_run with the same hazard: padding that got a meaning, and what lies behind the union."""

import pytest


@pytest.mark.claims("arm64.debug.*")
def test_hsr_high(probe, expected, claim):
    """hsr_high, in former padding, is valid by a flag, and the flag is gone at the next event."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("x86_64.sync_regs")
def test_behind_the_union(probe, expected, claim):
    """The union is 256 bytes: kvm_valid_regs and the registers behind it have not moved."""
    assert expected(claim) == probe(claim)
