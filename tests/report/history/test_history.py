"""Many runs, read as a stream: since when a claim fails, when it last held, what is flaky, what damaged logs give."""

import json
import tracemalloc

import pytest
from sample_records import END, RUN, verdict

from sysevent.bench import simulated_runs
from sysevent.errors import UsageError
from sysevent.report.history import collection, stream
from sysevent.report.history.collection import collect
from sysevent.report.history.trend import trend
from sysevent.report.run_log import RunLog


def judged(status, kernel="6.1", target="board", test="kvm.system_event.a", abi="arm64", native=True):
    return stream.Judged(test, target, kernel, abi, native, status, 0.5)


def runs(*days):
    """One run a day, each with verdicts on one claim: (status, kernel), or a status."""
    for number, verdicts in enumerate(days):
        found = [one if isinstance(one, tuple) else (one, "6.1") for one in verdicts]
        yield [
            stream.RunStart(id=str(number), start=f"2026-01-{number + 1:02}T02:00:00+00:00", schema=1),
            *(judged(status, kernel, target=f"board@{kernel}") for status, kernel in found),
            stream.RunEnd(exit=0),
        ]


def story(*days):
    history = collect(runs(*days))
    (series,) = history.series.values()
    return trend(series, history.points)


def test_last_good_and_first_bad():
    found = story([("PASS", "6.1")], [("PASS", "6.2")], [("FAIL", "6.3")], [("FAIL", "6.4")])
    assert found.now == "FAIL"
    assert (found.last_good.kernel, found.last_good.day) == ("6.2", "2026-01-02")
    assert (found.first_bad.kernel, found.first_bad.day) == ("6.3", "2026-01-03")
    assert found.repaired is None
    assert (found.changes, found.flaky) == (1, 0)


def test_what_was_repaired():
    found = story(["PASS"], [("FAIL", "6.2")], [("FAIL", "6.3")], [("PASS", "6.4")])
    assert found.now == "PASS"
    assert (found.first_bad.kernel, found.repaired.kernel) == ("6.2", "6.4")


def test_what_never_passed_has_no_last_good():
    found = story(["FAIL"], ["FAIL"])
    assert found.last_good is None
    assert found.first_bad.day == "2026-01-01"


def test_a_gap_decides_nothing():
    """MISS, ERROR, SKIP and DONE are no end of a failure, and no change."""
    found = story(["PASS"], ["MISS"], ["FAIL"], ["ERROR"], ["SKIP"])
    assert (found.now, found.changes) == ("FAIL", 1)
    assert found.last_good.day == "2026-01-01"
    assert story(["MISS"], ["MISS"]).now is None


def test_flaky_is_the_same_kernel_with_both():
    """A kernel that was asked once is not counted; a repair by another kernel is no flakiness."""
    found = story(["PASS"], ["FAIL"], ["PASS"], [("PASS", "6.2")], [("FAIL", "6.3")], [("FAIL", "6.3")])
    assert (found.flaky, found.repeated) == (1, 2)
    assert [one.kernel for one in found.kernels if one.flaky] == ["6.1"]


def test_several_kernels_in_one_run_are_points_of_one_series():
    found = story([("PASS", "6.1"), ("FAIL", "6.2")])
    assert [one.kernel for one in found.kernels] == ["6.1", "6.2"]
    assert found.first_bad.kernel == "6.2"


def test_other_abis_are_series_of_their_own():
    history = collect([[judged("PASS"), judged("FAIL", abi="i386", native=False)]])
    assert [one.place for one in history.series.values()] == ["board", "board-i386"]


def test_the_last_verdict_of_a_run_counts():
    history = collect([[judged("FAIL"), judged("PASS")]])
    (series,) = history.series.values()
    assert list(series.numbers) == [3]


def test_killed_runs_are_counted():
    start = stream.RunStart(id="a", start="2026-01-01T00:00:00+00:00", schema=1)
    history = collect([[start, judged("PASS")]])
    assert history.days["2026-01-01"].unfinished == 1
    assert (history.runs, history.total) == (1, 1)


@pytest.fixture
def log(tmp_path):
    """A log with a line of each kind that a history looks at, and others."""
    path = tmp_path / "run-1" / "run.jsonl"
    writer = RunLog(path)
    for record in (RUN, verdict("a", "t", "PASS"), verdict("a", "t", "FAIL"), END):
        writer.write(record)
    writer.close()
    return path


def test_a_log(log):
    start, first, second, end = stream.parts(log)
    assert (start.id, first.status, second.status, end.exit) == ("1", "PASS", "FAIL", 0)


def test_damaged_lines_are_left_out(log):
    """Cut off, of an unknown kind, not JSON, or longer than any record; a path that is not UTF-8 is none of that."""
    odd = json.dumps({**json.loads(log.read_text().splitlines()[1]), "nodeid": "\udc80"})
    with log.open("a") as file:
        file.write('{"record": "verdict", "test": "cut\n')
        file.write('{"record": "verdict", "test": 1}\n')
        file.write('{"record": "verdict"' + " " * (2 * stream.LINE_MAX) + "}\n")
        file.write(f"{odd}\n")
        file.write('{"record": "verd')
    assert [type(part).__name__ for part in stream.parts(log)] == [
        "RunStart",
        *["Judged"] * 2,
        "RunEnd",
        "Judged",
    ]


@pytest.mark.parametrize(
    "text", ["", "nothing\n", '{"record": "verdict"}\n', '{"record": "run", "schema": 99}\n']
)
def test_what_is_not_a_log_is_refused(tmp_path, text):
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError):
        stream.start(path)


def test_a_later_schema_is_refused(log):
    log.write_text(log.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(UsageError, match="schema 99"):
        list(stream.parts(log))


def test_places_of_logs(log, tmp_path):
    """A log, a results directory, and a directory of them; each log once, also by a link."""
    (tmp_path / "latest").symlink_to(log.parent)
    (tmp_path / "empty").mkdir()
    assert stream.logs([tmp_path, log.parent, log]) == [log.resolve()]
    with pytest.raises(UsageError, match=r"empty has no run\.jsonl"):
        stream.logs([tmp_path / "empty"])


def test_memory_does_not_grow_with_the_logs(tmp_path):
    """A hundred logs of 8 MB together need less than 3 MB; what is kept of a verdict is a few bytes."""
    simulated_runs.write(tmp_path, 100, 20)
    logs = sorted(stream.logs([tmp_path]))
    assert sum(one.stat().st_size for one in logs) > 8_000_000
    tracemalloc.start()
    try:
        history = collection.collect(map(stream.parts, logs))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert history.total == 2000
    assert peak < 3_000_000
