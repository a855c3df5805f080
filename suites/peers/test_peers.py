"""What becomes of the other vCPUs when one of them makes a system event."""

import pytest


@pytest.mark.claims("*.peers.*")
def test_peers(probe, expected, claim):
    """On arm64 and riscv64 a final event stops every vCPU; a suspend, and any event on x86, stops none."""
    assert expected(claim) == probe(claim)
