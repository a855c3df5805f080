"""What was in kvm_run before must not be taken for the event's: all exits share the same bytes."""

import pytest


@pytest.mark.claims("*.sequence.*")
def test_second_event(probe, expected, claim):
    """Nothing of a first event is left in the second."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("*.after_*")
def test_after_another_exit(probe, expected, claim):
    """Nothing of an MMIO or I/O exit is left where the event's valid fields are."""
    assert expected(claim) == probe(claim)


@pytest.mark.claims("*.poison.*")
def test_poison(probe, expected, claim):
    """What the kernel writes does not depend on what was there."""
    assert expected(claim) == probe(claim)
