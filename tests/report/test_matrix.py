"""The matrix that ends a run."""

from sysevent.model import Status
from sysevent.report.matrix import lines, matrix, summary


def verdict(test, target, status, abi="arm64", native=True):
    return {
        "record": "verdict",
        "test": f"kvm.system_event.{test}",
        "target": target,
        "status": status,
        "abi": abi,
        "native": native,
    }


RECORDS = [
    {"record": "run", "schema": 1},
    verdict("arm64.off", "arm64-tcg", "PASS"),
    verdict("arm64.reset", "arm64-tcg", "FAIL"),
    {"record": "incident", "target": "arm64-tcg"},
    verdict("x86_64.triple_fault", "x86_64-tcg", "SKIP", "x86_64"),
    verdict("x86_64.triple_fault", "x86_64-tcg", "DONE", "i386", native=False),
    verdict("arm64.off", "board", "MISS"),
]


def test_rows_and_columns():
    """In the order in which they came; another ABI is another column."""
    found = matrix(RECORDS)
    assert found.columns == ("arm64-tcg", "x86_64-tcg", "x86_64-tcg-i386", "board")
    assert found.rows == (
        ("arm64.off", (Status.PASS, None, None, Status.MISS)),
        ("arm64.reset", (Status.FAIL, None, None, None)),
        ("x86_64.triple_fault", (None, Status.SKIP, Status.DONE, None)),
    )


def test_the_last_verdict_counts():
    """As of a test that was run again, and counts once."""
    found = matrix([verdict("a", "t", "MISS"), verdict("a", "t", "PASS")])
    assert found.rows == (("a", (Status.PASS,)),)
    assert found.counts == {Status.PASS: 1}


def test_summary_is_worst_first():
    assert summary(matrix(RECORDS)) == "1 FAIL, 1 MISS, 1 PASS, 1 DONE, 1 SKIP"
    assert summary(matrix([])) == "no verdicts"


def test_lines():
    """Aligned, each with the worst in it."""
    assert lines(matrix(RECORDS)) == [
        ("claim                arm64-tcg  x86_64-tcg  x86_64-tcg-i386  board", None),
        ("arm64.off            PASS       ·           ·                MISS", Status.MISS),
        ("arm64.reset          FAIL       ·           ·                ·", Status.FAIL),
        ("x86_64.triple_fault  ·          SKIP        DONE             ·", Status.DONE),
    ]
    assert lines(matrix([])) == []


def test_severity_is_kcidb_s():
    assert [status.value for status in sorted(Status, key=lambda status: status.severity)] == [
        "FAIL",
        "ERROR",
        "MISS",
        "PASS",
        "DONE",
        "SKIP",
    ]
