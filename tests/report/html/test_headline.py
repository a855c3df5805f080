"""The sentences at the top of a page: what a run means, for somebody who sees this project for the first time."""

import msgspec
import pytest
from sample_records import END, RUN, verdict

from sysevent.report.html.headline import headline

PASSED = verdict("a", "arm64-tcg", "PASS")


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ([PASSED], "All PASS: every claim that applies holds on arm64-tcg (Linux 6.1.0)."),
        (
            [
                verdict("a", "arm64-tcg", "FAIL"),
                verdict("b", "arm64-tcg", "PASS"),
                verdict("c", "arm64-tcg", "SKIP"),
            ],
            "1 of 2 verdicts FAIL, on arm64-tcg (Linux 6.1.0).",
        ),
        (
            [verdict("a", "one", "FAIL", kernel="6.1"), verdict("a", "two", "PASS", kernel="6.12")],
            "1 of 2 verdicts FAIL, on one (Linux 6.1). Nothing fails on the other target.",
        ),
        (
            [verdict("a", f"t{number}", "FAIL", kernel=f"6.{number}") for number in range(5)],
            "5 of 5 verdicts FAIL, on 5 targets with 5 kernels.",
        ),
        ([verdict("a", "t", "MISS", kernel=""), PASSED], "No kernel failed, but 1 MISS on t."),
        ([verdict("a", "t", "SKIP")], "Nothing was judged: no claim applies."),
        ([], "No claim was judged."),
        (
            [PASSED, verdict("b", "headers", "PASS", abi="i386", native=False, kernel="6.1.1-1")],
            "All PASS: every claim that applies holds on arm64-tcg (Linux 6.1.0).",
        ),
    ],
)
def test_what_a_run_means(verdicts, sentence):
    found = headline([RUN, *verdicts, END])
    assert found.sentence == sentence
    assert found.gaps == ()


def test_the_last_verdict_counts():
    assert headline([RUN, verdict("a", "t", "FAIL"), verdict("a", "t", "PASS"), END]).status == "PASS"


def test_a_killed_run_says_so():
    (gap,) = headline([RUN, PASSED]).gaps
    assert "it has no end: it was killed or still runs" in gap


def test_an_interrupted_run_says_so():
    (gap,) = headline([RUN, PASSED, msgspec.structs.replace(END, reason="SIGTERM")]).gaps
    assert "interrupted by SIGTERM" in gap


def test_one_of_several_merged_runs_was_killed():
    other = msgspec.structs.replace(RUN, id="2")
    (gap,) = headline([RUN, PASSED, END, other, PASSED]).gaps
    assert gap.startswith("run 2: it has no end")
