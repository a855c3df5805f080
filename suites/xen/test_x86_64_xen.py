"""What a VMM reads when an x86 guest makes a Xen hypercall: right for 64-bit VMMs, four bytes off for i386."""

import pytest


@pytest.mark.claims("x86_64.xen.*")
def test_hypercall(probe, expected, claim):
    """The members of kvm_run.xen lie where the kernel has them, which is not where an i386 program looks."""
    assert expected(claim) == probe(claim)
