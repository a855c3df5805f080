"""Events of guests that their host cannot look into: SEV-ES and TDX."""

import pytest


@pytest.mark.claims("x86_64.sev_term", "x86_64.tdx_fatal")
def test_termination(probe, expected, claim):
    """What such a guest says of its end is in data[]."""
    assert expected(claim) == probe(claim)
