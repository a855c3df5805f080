"""What a VMM reads when an x86 guest's CPU gives up: KVM_EXIT_SHUTDOWN, beside the system events."""

import pytest

pytestmark = pytest.mark.arch("x86_64")


def test_triple_fault(probe, expected):
    """A triple fault exits as KVM_EXIT_SHUTDOWN."""
    assert expected("x86_64.triple_fault") == probe("x86_64.triple_fault")


def test_written_bytes(probe, expected):
    """KVM_EXIT_SHUTDOWN writes nothing into the union."""
    assert expected("x86_64.triple_fault.written") == probe("x86_64.triple_fault")
