"""The directory of a run's results: reserved by one run, and kept whatever happens to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sysevent.plugin import results

ONE = ["--arch", "arm64", "-k", "test_arm64 and off and not written"]


def test_results_of_another_run(runs):
    """Are refused before anything is collected, in one line, and left as they are."""
    first = runs.locks("used").with_name("results-used")
    first.mkdir()
    (first / "run.jsonl").write_text("kept")
    runs.start("used")
    again = runs["used"]
    assert again.code == 4
    assert "holds another run's results: name a new directory" in again.out
    assert "Traceback" not in again.out
    assert (first / "run.jsonl").read_text() == "kept"


def test_results_that_another_run_is_about_to_use(runs):
    """The second run is refused with the process id of the first one, before that has written anything."""
    release = results.reserved(runs.locks("reserved").with_name("results-reserved"))
    try:
        runs.start("reserved", *ONE)
        found = runs["reserved"]
    finally:
        release()
    assert found.code == 4
    assert f"is used by another run, pid {os.getpid()}: name a new directory" in found.out
    assert "Traceback" not in found.out
    assert not found.results.exists()


def test_two_runs_at_once(runs, tmp_path):
    """One of them has the directory, the other one ends with a usage error."""
    shared = ["--results", str(tmp_path / "shared")]
    for name in ("first", "second"):
        runs.start(name, *ONE, *shared)
    assert sorted(runs[name].code for name in ("first", "second")) == [0, 4]


def test_results_where_nothing_can_be_written(tmp_path, runs):
    """Are refused in one line before anything is collected."""
    (tmp_path / "file").touch()
    runs.start("nowhere", "--results", str(tmp_path / "file" / "results"))
    found = runs["nowhere"]
    assert found.code == 4
    assert f"{tmp_path}/file is not a directory; name another place" in found.out
    assert "Traceback" not in found.out


def test_nothing_is_left_of_a_run_that_asks_nothing(tmp_path, runs):
    """Neither the directory nor those above it that did not exist."""
    runs.start("unmatched", "-k", "nothing_of_that_name", "--results", str(tmp_path / "a" / "b"))
    assert runs["unmatched"].code == 4
    assert not (tmp_path / "a").exists()


def test_a_collection_reserves_nothing(tmp_path, runs):
    runs.start("collected", "--collect-only", "--results", str(tmp_path / "a"))
    assert runs["collected"].code == 0
    assert not (tmp_path / "a").exists()


def test_results_that_are_removed_during_the_run(runs):
    """The records are written again, and the exit code says that something is lost."""
    removed = str(runs.locks("removed").with_name("results-removed"))
    runs.start("removed", *ONE, breaks={"arm64.psci.off": "removes"}, removed=removed)
    found = runs["removed"]
    assert found.code == 3, found.out
    assert found.statuses() == {"test_arm64[arm64-tcg-psci.off]": "PASS"}
    assert "was removed during the run: its records are there again, its logs are lost" in found.out
    assert "1 PASS" in found.out
    assert "Traceback" not in found.out


def test_the_lock_ends_with_its_process(tmp_path):
    """Also if it is killed: nothing is stale."""
    script = (
        "import sys, time; from pathlib import Path; from sysevent.plugin import results; "
        "results.reserved(Path(sys.argv[1])); print('reserved', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "reserved\n"
        with pytest.raises(pytest.UsageError, match=f"is used by another run, pid {holder.pid}: name a new"):
            results.reserved(tmp_path)
        holder.kill()
    results.reserved(tmp_path)()
    assert tmp_path.exists()


def test_the_latest_link(tmp_path):
    """It is replaced in one step, and what it cannot replace stays."""
    link = tmp_path / "latest"
    for name in ("one", "two"):
        results._point(link, name)
        assert link.readlink() == Path(name)
    link.unlink()
    (link / "directory").mkdir(parents=True)
    results._point(link, "three")
    assert (link / "directory").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]
