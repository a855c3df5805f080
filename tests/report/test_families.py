"""The short matrix: a row for each family of claims."""

import msgspec
import pytest
import sample_records

from sysevent.model import Status
from sysevent.report.families import Row, cell, families, family, table


def verdict(folder, test, target, status, *fields, **more):
    found = sample_records.verdict(f"kvm.system_event.{test}", target, status, *fields, **more)
    return msgspec.structs.replace(found, nodeid=f"suites/{folder}/test_a.py::test[{target}-{test}]")


RUN = [
    verdict("psci", "arm64.off", "arm64-tcg", "PASS"),
    verdict("psci", "arm64.reset", "arm64-tcg", "FAIL"),
    verdict("psci", "arm64.off2", "arm64-tcg", "SKIP"),
    verdict("hyperv", "x86_64.reset", "x86_64-tcg", "DONE", "x86_64"),
    verdict("hyperv", "x86_64.crash", "x86_64-tcg", "PASS", "x86_64"),
    verdict("xen", "x86_64.xen", "x86_64-tcg", "SKIP", "x86_64"),
]
WIDE = [
    Row("family  arm64-tcg          x86_64-tcg"),
    Row("hyperv  ·                  1/2 1 DONE", Status.PASS),
    Row("psci    1/2 1 FAIL 1 SKIP  ·", Status.FAIL),
    Row("xen     ·                  1 SKIP", Status.SKIP),
]
NARROW = [
    Row("family  arm64-tcg      x86_64-tcg"),
    Row("hyperv  ·              1/2 1D", Status.PASS),
    Row("psci    1/2 1 FAIL 1S  ·", Status.FAIL),
    Row("xen     ·              1S", Status.SKIP),
]


@pytest.mark.parametrize("run", [RUN, RUN[::-1]])
def test_lines(run):
    """Rows and columns have one order; each line comes with the worst status in it."""
    assert table(families(run)).rows == WIDE
    assert table(families(run), 37).rows == WIDE
    assert table(families([])).rows == []


def test_a_narrow_terminal():
    """DONE and SKIP become letters before the table is split; what must be noticed stays a word."""
    assert table(families(RUN), 36).rows == table(families(RUN), 33).rows == NARROW
    assert table(families(RUN), 36).legend == "PASS of all that apply, D: DONE, S: SKIP"
    assert table(families(RUN), 37).legend == "PASS of all that apply"


@pytest.mark.parametrize("width", [32, 20, 1])
def test_a_terminal_that_is_narrower_still(width):
    """The table goes on below itself, without rows that would be empty."""
    assert [row.text for row in table(families(RUN), width).rows] == [
        "family  arm64-tcg",
        "psci    1/2 1 FAIL 1S",
        "family  x86_64-tcg",
        "hyperv  1/2 1D",
        "xen     1S",
    ]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, "·"),
        ({"PASS": 41}, "41/41"),
        ({"PASS": 39, "FAIL": 2}, "39/41 2 FAIL"),
        ({"SKIP": 7}, "7 SKIP"),
        ({"MISS": 3}, "3 MISS"),
        ({"MISS": 1, "FAIL": 2, "ERROR": 1}, "0/4 2 FAIL 1 ERROR 1 MISS"),
        ({"PASS": 1, "SKIP": 2, "DONE": 3}, "1/4 3 DONE 2 SKIP"),
        ({"SKIP": 2, "DONE": 3}, "0/3 3 DONE 2 SKIP"),
    ],
)
def test_cell(counts, text):
    assert cell({Status(name): count for name, count in counts.items()}, {}) == text


@pytest.mark.parametrize(
    ("nodeid", "test", "name"),
    [
        ("suites/psci/test_a.py::test[a/b]", "arm64.x", "psci"),
        ("repository/suites/psci/test_a.py::test", "arm64.x", "psci"),
        ("suites/test_a.py::test", "arm64.psci.off", "psci"),
        ("test_a.py::test", "arm64", "arm64"),
        ("", "", ""),
    ],
)
def test_family(nodeid, test, name):
    found = sample_records.verdict(f"kvm.system_event.{test}", "t", "PASS")
    assert family(msgspec.structs.replace(found, nodeid=nodeid)) == name


def test_the_last_verdict_counts():
    again = [verdict("psci", "arm64.off", "t", "MISS"), verdict("psci", "arm64.off", "t", "PASS")]
    assert table(families(again)).rows[1].text == "psci    1/1"
