"""What a VMM reads when an x86 guest uses Hyper-V's MSRs to reset itself or to report a crash."""

import pytest

pytestmark = pytest.mark.arch("x86_64")


@pytest.mark.parametrize("event", ["reset", "crash"])
def test_msr(probe, expected, event):
    """The MSR is the event's type, and there are no data: ndata must be written, and be 0."""
    assert expected(f"x86_64.hyperv.{event}") == probe(f"x86_64.hyperv.{event}")


@pytest.mark.parametrize("event", ["reset", "crash"])
def test_written_bytes(probe, expected, event):
    """The kernel writes type and ndata, and leaves data[] as it was."""
    assert expected(f"x86_64.hyperv.{event}.written") == probe(f"x86_64.hyperv.{event}")
