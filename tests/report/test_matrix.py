"""The matrix that ends a run."""

import sample_records

from sysevent.model import Status
from sysevent.report.matrix import lines, matrix, summary


def verdict(test, *fields, **more):
    return sample_records.verdict(f"kvm.system_event.{test}", *fields, **more)


RUN = [
    sample_records.RUN,
    verdict("arm64.off", "arm64-tcg", "PASS"),
    verdict("arm64.reset", "arm64-tcg", "FAIL"),
    sample_records.INCIDENT,
    verdict("x86_64.triple_fault", "x86_64-tcg", "SKIP", "x86_64"),
    verdict("x86_64.triple_fault", "x86_64-tcg", "DONE", "i386", native=False),
    verdict("arm64.off", "board", "MISS"),
]


def test_rows_and_columns():
    """They are in one order, whatever the order of the verdicts; another ABI is another column."""
    for run in (RUN, RUN[::-1]):
        found = matrix(run)
        assert found.columns == ("arm64-tcg", "board", "x86_64-tcg", "x86_64-tcg-i386")
        assert found.rows == (
            ("arm64.off", (Status.PASS, Status.MISS, None, None)),
            ("arm64.reset", (Status.FAIL, None, None, None)),
            ("x86_64.triple_fault", (None, None, Status.SKIP, Status.DONE)),
        )


def test_the_last_verdict_counts():
    """A test that was run again counts once."""
    found = matrix([verdict("a", "t", "MISS"), verdict("a", "t", "PASS")])
    assert found.rows == (("a", (Status.PASS,)),)
    assert found.counts == {Status.PASS: 1}


def test_summary_is_worst_first():
    assert summary(matrix(RUN)) == "1 FAIL, 1 MISS, 1 PASS, 1 DONE, 1 SKIP"
    assert summary(matrix([])) == "no verdicts"


def test_lines():
    """Columns are aligned; each line comes with the worst status in it."""
    assert lines(matrix(RUN)) == [
        ("claim                arm64-tcg  board  x86_64-tcg  x86_64-tcg-i386", None),
        ("arm64.off            PASS       MISS   ·           ·", Status.MISS),
        ("arm64.reset          FAIL       ·      ·           ·", Status.FAIL),
        ("x86_64.triple_fault  ·          ·      SKIP        DONE", Status.DONE),
    ]
    assert lines(matrix([])) == []


def test_severity_is_that_of_kcidb():
    worst_first = sorted(Status, key=lambda status: status.severity)
    assert [status.value for status in worst_first] == ["FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP"]
