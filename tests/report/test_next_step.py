"""What to look at next: one line, about the worst that was found."""

import pytest
from sample_records import verdict

from sysevent.report import next_step

NAME = "kvm.system_event.arm64.psci.off"


@pytest.mark.parametrize(
    ("run", "line"),
    [
        ([verdict(NAME, "t", "PASS")], "next: every claim, one by one: REPORT"),
        (
            [verdict(NAME, "t", "DONE"), verdict("a", "t", "SKIP"), verdict("b", "t", "SKIP")],
            "next: 1 DONE and 2 SKIP, one by one: REPORT",
        ),
        (
            [verdict(NAME, "t", "FAIL"), verdict("a", "t", "MISS")],
            "next: the bytes are above; why it must hold: COMMAND explain arm64.psci.off",
        ),
        (
            [verdict("kvm.system_event.of.a.later.version", "t", "FAIL")],
            "next: the bytes are above; all of it again: REPORT",
        ),
        (
            [verdict(NAME, "t", "ERROR"), verdict("a", "t", "MISS")],
            "next: the first error is above, and is not about the kernel; is this machine well: COMMAND doctor",
        ),
        (
            [verdict(NAME, "t", "MISS"), verdict("a", "t", "PASS")],
            "next: this machine: COMMAND doctor; the guest's logs: /r/t",
        ),
        (
            [verdict(NAME, "t@a/b", "MISS")],
            "next: this machine: COMMAND doctor; the guest's logs: /r/t@a_b",
        ),
        (
            [verdict(NAME, "t", "SKIP", kernel=""), verdict("a", "u", "PASS")],
            "next: what would make the other claims apply: COMMAND doctor",
        ),
        ([verdict(NAME, "t", "FAIL"), verdict(NAME, "t", "PASS")], "next: every claim, one by one: REPORT"),
    ],
)
def test_line(run, line):
    assert next_step.line(run, "/r", "REPORT", "COMMAND") == line
