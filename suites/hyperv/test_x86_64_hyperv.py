"""What a VMM reads when an x86 guest uses Hyper-V's MSRs to reset itself or to report a crash."""

import pytest


@pytest.mark.claims("x86_64.hyperv.*")
def test_msr(probe, expected, claim):
    """The MSR is the event's type, and there are no data: ndata must be written, and be 0."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("x86_64.pending.*", "x86_64.crash.*")
def test_crash(probe, expected, claim):
    """A crash comes before a reset, and its parameters stay in their MSRs."""
    assert expected(claim) == probe(claim)
