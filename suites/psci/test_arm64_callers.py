"""The same calls by other callers: other PSCI versions, SMC, filters, a 32-bit guest."""

import pytest


@pytest.mark.claims("arm64.psci_*", "arm64.psci.versions*", "arm64.psci.features.*")
def test_versions(probe, expected, claim):
    """A guest has the calls of the PSCI version that its VMM selected, and no others."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.smc.*")
def test_smc(probe, expected, claim):
    """SMC is as good a conduit as HVC."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.filter.*")
def test_filter(probe, expected, claim):
    """A call that userspace denies or takes over is no system event."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("arm64.aarch32.*")
def test_aarch32(probe, expected, claim):
    """A 32-bit guest has the 32-bit calls, and not the 64-bit ones."""
    assert expected(claim) == probe(claim)
