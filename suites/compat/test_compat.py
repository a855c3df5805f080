"""32-bit processes: i386 is served (its claims are all the others, with --abi i386); elsewhere KVM refuses."""

import pytest


@pytest.mark.claims("*.compat")
def test_open(probe, expected, claim):
    """Where KVM serves no 32-bit process, /dev/kvm cannot be opened by one."""
    assert expected(claim) == probe(claim)
