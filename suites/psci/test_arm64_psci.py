"""What a VMM reads when an arm64 guest calls PSCI to turn itself off or to start again."""

import pytest

pytestmark = pytest.mark.arch("arm64")

RESET2 = [
    "reset2",
    "reset2.vendor",
    "reset2.vendor_high",
    "reset2_64",
    "reset2_64.vendor",
    "reset2_64.vendor_high",
]


def test_system_off(probe, expected):
    """PSCI SYSTEM_OFF exits as SHUTDOWN with one datum, no flag set."""
    assert expected("arm64.psci.off") == probe("arm64.psci.off")


def test_system_reset(probe, expected):
    """PSCI SYSTEM_RESET exits as RESET with one datum, no flag set."""
    assert expected("arm64.psci.reset") == probe("arm64.psci.reset")


@pytest.mark.parametrize("call", RESET2)
def test_system_reset2(probe, expected, call):
    """PSCI SYSTEM_RESET2 exits as RESET with the RESET2 flag in data[0]."""
    assert expected(f"arm64.psci.{call}") == probe(f"arm64.psci.{call}")


@pytest.mark.parametrize("call", RESET2)
def test_system_reset2_arguments(probe, expected, call):
    """Userspace finds the reset type and the cookie where the guest put them."""
    assert expected(f"arm64.psci.{call}.arguments") == probe(f"arm64.psci.{call}")


@pytest.mark.parametrize("call", ["reset2.reserved", "reset2_64.reserved"])
def test_system_reset2_reserved_type(probe, expected, call):
    """A reset type that the specification reserves is refused, and no event."""
    assert expected(f"arm64.psci.{call}") == probe(f"arm64.psci.{call}")


@pytest.mark.parametrize("call", ["off", "reset", "reset2"])
def test_written_bytes(probe, expected, call):
    """The kernel writes the whole structure and nothing else."""
    assert expected(f"arm64.psci.{call}.written") == probe(f"arm64.psci.{call}")
