"""Which old runs are deleted at the end of a run."""

import json
import os
import time

import pytest

from sysevent.plugin import old_results
from sysevent.settings import from_environment

NOW = time.time()
DAY = 86400


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results"


def make(path, age, argv=("sysevent", "run")):
    """A run that ended so many seconds ago."""
    path.mkdir(parents=True)
    log = path / "run.jsonl"
    log.write_text(json.dumps({"record": "run", "argv": argv}) + "\n")
    (path / "arm64-tcg").mkdir()
    for place in (log, path):
        os.utime(place, (NOW - age, NOW - age))


def fill(folder, count, age):
    for number in range(count):
        make(folder / f"2026-01-01T00-{number // 60:02}-{number % 60:02}", age)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_stay(folder):
    """However old they are; the line says by which rule the others went."""
    fill(folder, 53, 30 * DAY)
    (line,) = old_results.deleted(folder, NOW)
    assert line == (
        f"deleted 3 old runs in {folder}: the newest 50 stay, and those of 7 days; SYSEVENT_KEEP_RESULTS=1 keeps all"
    )
    assert left(folder)[0] == "2026-01-01T00-00-03"
    assert len(left(folder)) == 50
    assert list(old_results.deleted(folder, NOW)) == []


def test_young_ones_stay(folder):
    """However many they are."""
    fill(folder, 60, 6 * DAY)
    assert list(old_results.deleted(folder, NOW)) == []
    assert len(left(folder)) == 60


@pytest.mark.parametrize(
    "name",
    [
        "bisect-arm64-0123",
        "repeat-2026-01-01T00-00-00",
        "sensitivity",
        "monday",
        "2026-01-01",
        "2025-01-01T00-00-00x",
    ],
)
def test_other_names_stay(name, folder):
    make(folder / name, 300 * DAY)
    fill(folder, 51, 30 * DAY)
    assert len(list(old_results.deleted(folder, NOW))) == 1
    assert (folder / name / "run.jsonl").exists()


@pytest.mark.parametrize("words", [["--results=results/x"], ["--results", "x"]], ids=str)
def test_a_directory_that_was_named_stays(words, folder):
    make(folder / "2025-01-01T00-00-00", 300 * DAY, ["pytest", *words])
    (folder / "2025-01-01T00-00-01").mkdir()
    (folder / "2025-01-01T00-00-01" / "run.jsonl").write_text("damaged")
    for place in ("run.jsonl", "."):
        os.utime(folder / "2025-01-01T00-00-01" / place, (NOW - 300 * DAY,) * 2)
    fill(folder, 50, 30 * DAY)
    assert list(old_results.deleted(folder, NOW)) == []


def test_a_link_is_not_followed(folder, tmp_path):
    make(tmp_path / "elsewhere", 300 * DAY)
    fill(folder, 50, 30 * DAY)
    (folder / "2025-01-01T00-00-00").symlink_to(tmp_path / "elsewhere")
    assert list(old_results.deleted(folder, NOW)) == []
    assert (tmp_path / "elsewhere" / "run.jsonl").exists()


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.delenv("SYSEVENT_KEEP_RESULTS", raising=False)
    assert not from_environment().keep_results
    monkeypatch.setenv("SYSEVENT_KEEP_RESULTS", "1")
    assert from_environment().keep_results
