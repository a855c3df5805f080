"""What KVM_RUN does when userspace enters it again after a system event."""

import pytest


@pytest.mark.claims("*.reentry.*", "riscv64.resumed")
def test_reentry(probe, expected, claim):
    """It blocks, or repeats, or continues, as each architecture promises."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.reinit.*")
def test_reinit(probe, expected, claim):
    """A vCPU that is initialized anew starts anew."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("*.immediate_exit", "*.immediate_exit.*")
def test_immediate_exit(probe, expected, claim):
    """With immediate_exit nothing runs and nothing is lost."""
    assert expected(claim) == probe(claim)
