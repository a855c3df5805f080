"""Results directories: what they are in a few words, and which are old."""

import json
import os
import time

import msgspec
import pytest
from sample_records import END, KEPT, RUN, TARGET, verdict

from sysevent.errors import UsageError
from sysevent.report import results_directories

NOW = time.time()
DAY = 86400


def make(path, *found, age=30 * DAY):
    """A run with some records, which was last written so many seconds ago."""
    path.mkdir(parents=True)
    log = path / "run.jsonl"
    log.write_text("".join(json.dumps(msgspec.to_builtins(one)) + "\n" for one in found))
    for place in (log, path):
        os.utime(place, (NOW - age,) * 2)
    return path


def test_a_summary(tmp_path):
    path = make(tmp_path / "run", RUN, TARGET, verdict("a.b", "arm64-tcg", "PASS"), END)
    found = results_directories.summary(path)
    assert (found.start, found.counts, found.end, found.kernels) == (
        "2026-01-01T00:00:00+00:00",
        "1 PASS",
        "exit code 0",
        ("6.1.0",),
    )
    assert found.size > 0


def test_a_summary_of_a_killed_run(tmp_path):
    assert results_directories.summary(make(tmp_path / "run", RUN)).end == "no end"


def test_a_damaged_log_is_listed(tmp_path):
    """As the run that it is, with what is wrong."""
    path = make(tmp_path / "run", RUN)
    (path / "run.jsonl").write_text("damaged")
    (found,) = results_directories.summaries(tmp_path)
    assert "not a record" in found.end


def test_what_is_no_run_is_not_listed(tmp_path):
    (tmp_path / "bisect-arm64-0123").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "latest").symlink_to(make(tmp_path / "2026-01-01T00-00-00", RUN))
    make(tmp_path / "named", msgspec.structs.replace(RUN, start="2025-01-01T00:00:00+00:00"))
    assert [one.path.name for one in results_directories.summaries(tmp_path)] == [
        "named",
        "2026-01-01T00-00-00",
    ]


def test_a_folder_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="none cannot be read: No such file"):
        list(results_directories.summaries(tmp_path / "none"))


@pytest.mark.parametrize(
    ("found", "age", "goes"),
    [
        ([RUN, END], 2 * DAY, True),
        ([RUN, END], DAY / 2, False),
        # It may still run.
        ([RUN], DAY - 60, False),
        ([RUN], 2 * DAY, True),
        # Its guests live on.
        ([RUN, msgspec.structs.replace(KEPT, limit=3 * DAY), END], 2 * DAY, False),
        ([RUN, KEPT, END], 2 * DAY, True),
        ([msgspec.structs.replace(RUN, argv=("pytest", "--results=x")), END], 2 * DAY, False),
        # Its first record may have named it.
        ([TARGET], 2 * DAY, False),
    ],
)
def test_which_are_old(found, age, goes, tmp_path):
    """Of one day here; the newest stays in any case."""
    one = make(tmp_path / "2026-01-01T00-00-00", *found, age=age)
    make(tmp_path / "2026-01-02T00-00-00", RUN, END)
    assert list(results_directories.old(tmp_path, NOW, newest=1, days=1)) == ([one] if goes else [])


def test_no_day_at_all(tmp_path):
    """A run that may not have ended stays nevertheless."""
    ended = make(tmp_path / "2026-01-01T00-00-00", RUN, END, age=10)
    make(tmp_path / "2026-01-01T00-00-01", RUN, age=10)
    (tmp_path / "2026-01-01T00-00-02").mkdir()
    make(tmp_path / "2026-01-02T00-00-00", RUN, END)
    assert list(results_directories.old(tmp_path, NOW + 1, newest=1, days=0)) == [ended]
