"""Verdicts in words: one thing that is wrong is one line."""

from sysevent.model import Status
from sysevent.report.grouping import told


def verdict(test, status, reason, target="rpi5", abi="arm64"):
    return {
        "test": test,
        "status": status,
        "reason": reason,
        "target": target,
        "abi": abi,
        "native": abi == "arm64",
    }


def test_a_dead_host_is_one_line():
    missed = [verdict(f"a.{number}", "MISS", "rpi5: no answer\nfor 20 s") for number in range(110)]
    assert told(missed) == [(Status.MISS, "MISS 110 claims on rpi5: rpi5: no answer")]


def test_what_is_alone_has_its_name():
    assert told([verdict("a.b", "MISS", "why")]) == [(Status.MISS, "MISS a.b on rpi5: why")]


def test_failures_are_each_told():
    """Also when their words are the same: each is one of a claim."""
    lines = [line for _, line in told([verdict(name, "FAIL", "type: got 1") for name in ("a.b", "a.c")])]
    assert lines == ["FAIL a.b on rpi5: type: got 1", "FAIL a.c on rpi5: type: got 1"]


def test_the_abi_where_it_is_not_the_native_one():
    """Two verdicts of one claim would look like one told twice."""
    lines = [line for _, line in told([verdict("a.b", "DONE", "why", abi=abi) for abi in ("arm64", "arm")])]
    assert lines == ["DONE a.b on rpi5: why", "DONE a.b on rpi5-arm: why"]
