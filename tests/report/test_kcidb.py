"""Reports for KernelCI's database, validated by kcidb-io."""

import json

import msgspec
import pytest
from sample_records import END, RUN, TARGET, verdict
from sample_runs import RUNS, A

from sysevent.errors import InfrastructureError
from sysevent.report import kcidb, records
from sysevent.report.matrix import last_verdicts
from sysevent.report.merging import split
from sysevent.report.suites import unfinished


def report(name, **more):
    return json.loads(kcidb.render(RUNS[name], **more))


@pytest.mark.parametrize("name", RUNS)
def test_its_own_schema_accepts_it(name):
    """Also as the oldest version that has these statuses, without what came later."""
    kcidb_io = pytest.importorskip(
        "kcidb_io", reason="kcidb-io is not installed: pip install 'sysevent[kcidb]'"
    )
    found = report(name, kcidb_origin="my_lab")
    assert kcidb_io.schema.LATEST.is_valid(found)
    assert kcidb_io.schema.V5_3.is_valid_exactly(found)


def test_what_it_refuses_is_an_error(monkeypatch):
    """Of this program: nothing that is not valid is written."""
    pytest.importorskip("kcidb_io", reason="kcidb-io is not installed: pip install 'sysevent[kcidb]'")
    with pytest.raises(InfrastructureError, match="kcidb-io refuses the report: "):
        kcidb.render(RUNS["passing"], kcidb_origin="My Lab")


@pytest.mark.parametrize("name", RUNS)
def test_ids(name):
    """They are unique, begin with the origin, and refer to what is there."""
    found = report(name, kcidb_origin="my_lab")
    for kind in ("checkouts", "builds", "tests"):
        ids = [one["id"] for one in found[kind]]
        assert len(set(ids)) == len(ids)
        assert all(one.startswith("my_lab:") for one in ids)
    assert {one["build_id"] for one in found["tests"]} == {one["id"] for one in found["builds"]}
    assert {one["checkout_id"] for one in found["builds"]} == {one["id"] for one in found["checkouts"]}


@pytest.mark.parametrize("name", RUNS)
def test_every_verdict_of_every_run(name):
    """Merged runs keep theirs: kcidb itself shows the worst."""
    counted = sum(len(last_verdicts(part)) for part in split(RUNS[name]))
    assert len(report(name)["tests"]) == counted + len(unfinished(RUNS[name]))


def test_a_test():
    found = report("failing")["tests"][0]
    assert found == {
        "id": found["id"],
        "origin": "sysevent",
        "build_id": found["build_id"],
        "start_time": "2026-01-01T00:00:00+00:00",
        "path": f"{A}.done",
        "status": "DONE",
        "comment": "why",
        "log_excerpt": found["log_excerpt"],
        "duration": 0.5,
        "environment": {
            "comment": "arm64-tcg, QEMU 7.2.22, VMM arm64",
            "misc": found["environment"]["misc"],
        },
        "misc": {
            "level": "abi",
            "erratum": "",
            "confirmed": 0,
            "dimensions": {},
            "expected": {"type": "1"},
            "got": {"type": "2"},
            "nodeid": "suites/test_a.py::test[arm64-tcg]",
        },
    }
    assert found["environment"]["misc"]["build_id"] == "ab" * 20
    assert found["log_excerpt"].startswith("why\ntype: got 2, expected 1\n")


def test_a_run_and_its_copy():
    """Such as an artifact that was loaded twice, once before the end: each test is there once, the worse one."""
    early = [RUN, TARGET, verdict(A, "arm64-tcg", "FAIL")]
    found = json.loads(kcidb.render([*early, RUN, TARGET, verdict(A, "arm64-tcg", "PASS"), END]))
    assert [(one["path"], one["status"]) for one in found["tests"]] == [
        (A, "FAIL"),
        ("sysevent.complete", "MISS"),
    ]


def test_a_build_for_each_kernel():
    """The same in every run, whatever the target is called."""
    found = report("merged")["builds"]
    assert [one["comment"] for one in found] == [
        "Linux 6.1.0 (debian:6.1, 6.1.1-1)",
        "Linux 6.12.0 (debian:6.12, 6.1.1-1)",
    ]
    assert {one["architecture"] for one in found} == {"arm64"}
    assert found[0]["id"] == report("failing")["builds"][0]["id"]


def test_a_killed_run():
    (found,) = [one for one in report("killed")["tests"] if one["path"] == "sysevent.complete"]
    assert found["status"] == "MISS"
    assert found["comment"].startswith("it has no end")


@pytest.mark.parametrize("start", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_start_that_is_no_time(start):
    """kcidb takes a time with a zone only; without one the test has none."""
    run = [msgspec.structs.replace(RUN, start=start), TARGET, verdict(A, "arm64-tcg", "PASS")]
    assert all("start_time" not in one for one in json.loads(kcidb.render(run))["tests"])


def test_a_long_text_is_cut():
    long = verdict(A, "arm64-tcg", "FAIL", reason="x" * 20000)
    found = json.loads(kcidb.render([RUN, TARGET, long, records.End(counts={}, exit=1)]))["tests"][0]
    assert len(found["log_excerpt"]) == 16384
