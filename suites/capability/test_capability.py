"""KVM_CAP_SYSTEM_EVENT_DATA: what tells a VMM that it may read ndata and data[]."""

import pytest


@pytest.mark.claims("*.capability")
def test_capability(probe, expected, claim):
    """Capability 215 is there on /dev/kvm and on a VM, or, before v5.18, on neither."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("*.capability.*")
def test_neighbouring_capability(probe, expected, claim):
    """What a VMM asks before it uses a part of the contract that came later is there, too."""
    assert expected(claim) == probe(claim)
