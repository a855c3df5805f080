"""Verdicts as lines of text."""

from sample_records import verdict

from sysevent.model import Status
from sysevent.report.grouping import grouped_verdicts


def test_verdicts_with_one_cause_share_a_line():
    missed = [verdict(f"a.{n}", "rpi5", "MISS", reason="rpi5: no answer\nfor 20 s") for n in range(110)]
    assert grouped_verdicts(missed) == [(Status.MISS, "MISS 110 claims on rpi5: rpi5: no answer")]


def test_a_single_verdict_has_the_name_of_its_claim():
    assert grouped_verdicts([verdict("a.b", "rpi5", "MISS")]) == [(Status.MISS, "MISS a.b on rpi5: why")]


def test_each_failure_has_its_own_line():
    """Also if the reasons are equal."""
    failed = [verdict(name, "rpi5", "FAIL", reason="type: got 1") for name in ("a.b", "a.c")]
    lines = [line for _, line in grouped_verdicts(failed)]
    assert lines == ["FAIL a.b on rpi5: type: got 1", "FAIL a.c on rpi5: type: got 1"]


def test_an_abi_that_is_not_native_is_named():
    """Otherwise two verdicts of one claim look like the same verdict printed twice."""
    both = [verdict("a.b", "rpi5", "DONE", abi, native=abi == "arm64") for abi in ("arm64", "arm")]
    lines = [line for _, line in grouped_verdicts(both)]
    assert lines == ["DONE a.b on rpi5: why", "DONE a.b on rpi5-arm: why"]


def test_an_empty_reason():
    assert grouped_verdicts([verdict("a.b", "rpi5", "MISS", reason="")]) == [
        (Status.MISS, "MISS a.b on rpi5: ")
    ]
