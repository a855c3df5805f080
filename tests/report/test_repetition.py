"""Runs that are repeated: what differs between them."""

import sample_records
from sample_records import verdict

from sysevent.report import repetition
from sysevent.report.repetition import RepeatedRun


def run(*records, code=0):
    return RepeatedRun.of(code, 2.5, records)


GOOD = (verdict("a.b", "arm64-tcg", "PASS"), verdict("c.d", "arm64-tcg", "SKIP"))
LOST = (*GOOD[1:], verdict("a.b", "arm64-tcg", "MISS", reason="silent\x1b[2J"))


def incident(reason):
    return sample_records.records.Incident(target="arm64-tcg", reason=reason, log="", retried=True)


def test_equal_runs():
    runs = [run(*GOOD)] * 3
    assert repetition.differing(runs) == []
    assert repetition.exit_code(runs) == 0
    assert repetition.table(runs) == [
        "3 runs, 6 verdicts; claims whose verdict differs: 0; incidents: 0; exit codes: 0 (3)"
    ]
    assert repetition.line(3, 10, runs) == (
        "run 3 of 10: exit code 0, 2.5 s, 1 PASS, 1 SKIP; incidents: 0; verdicts other than in run 1: 0"
    )


def test_differing_verdicts():
    """Each status with its count, the run in which it was first, and its reason; the exit code is the worst one."""
    runs = [run(*GOOD), run(*GOOD), run(*LOST, code=1)]
    assert repetition.exit_code(runs) == 1
    assert repetition.table(runs)[:3] == [
        "a.b on arm64-tcg: 2 PASS, 1 MISS",
        "    PASS, first in run 1: why",
        "    MISS, first in run 3: silent\\x1b[2J",
    ]
    assert repetition.line(3, 3, runs).endswith("verdicts other than in run 1: 1")


def test_verdicts_that_differ_fail():
    """Also if every run was good by itself, as with a claim that was not judged in one of them."""
    runs = [run(*GOOD), run(GOOD[0])]
    assert [one.code for one in runs] == [0, 0]
    assert repetition.exit_code(runs) == 1
    assert repetition.table(runs)[:3] == [
        "c.d on arm64-tcg: 1 SKIP, 1 no verdict",
        "    SKIP, first in run 1: why",
        "    no verdict, first in run 2",
    ]


def test_the_worst_exit_code():
    assert repetition.exit_code([run(*GOOD, code=3), run(*GOOD, code=1)]) == 3


def test_incidents_by_kind():
    """Those that differ in numbers only are one kind; the most frequent one is first."""
    runs = [
        run(incident("rebooted")),
        run(incident("no answer within 20 s\nits console"), incident("no answer within 4.5 s")),
    ]
    assert repetition.table(runs)[:2] == [
        "incident, 2 times, first in run 2: no answer within 20 s",
        "incident, 1 times, first in run 1: rebooted",
    ]


def test_the_last_verdict_of_a_claim_counts():
    assert repetition.differing([run(*GOOD), run(*LOST, *GOOD)]) == []
