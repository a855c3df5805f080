"""What a VMM reads when a riscv64 guest calls the SBI system reset extension."""

import pytest

pytestmark = pytest.mark.arch("riscv64")

KINDS = ["shutdown", "cold_reboot", "warm_reboot"]
REASONS = ["0x0", "0x1", "0xe0000000", "0xdeadbeef"]


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("kind", KINDS)
def test_srst(probe, expected, kind, reason):
    """The kind of reset is the event's type, and the reason is its one datum."""
    assert expected(f"riscv64.srst.{kind}.{reason}") == probe(f"riscv64.srst.{kind}.{reason}")


def test_reserved_type(probe, expected):
    """A reset type that SBI reserves is refused, and no event."""
    assert expected("riscv64.srst.reserved") == probe("riscv64.srst.reserved")


@pytest.mark.parametrize("kind", KINDS)
def test_written_bytes(probe, expected, kind):
    """The kernel writes the whole structure and nothing else."""
    assert expected(f"riscv64.srst.{kind}.written") == probe(f"riscv64.srst.{kind}.0x1")
