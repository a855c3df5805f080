"""sysevent results: what is listed, and what is deleted."""

import json
import os
import time

import msgspec
import pytest
from sample_records import END, RUN, TARGET, verdict

from sysevent.cli import main

MONTH = 30 * 86400


@pytest.fixture
def folder(tmp_path):
    """Four old runs, one of which --results named, and a bisection."""
    for number, argv in enumerate([(), (), ("pytest", "--results=x"), ()]):
        path = tmp_path / f"2026-01-0{number + 1}T00-00-00"
        path.mkdir()
        found = [
            msgspec.structs.replace(RUN, argv=argv, start=f"2026-01-0{number + 1}T00:00:00+00:00"),
            TARGET,
            verdict("a.b", "arm64-tcg", "PASS"),
            END,
        ]
        (path / "run.jsonl").write_text("".join(json.dumps(msgspec.to_builtins(one)) + "\n" for one in found))
        for place in (path / "run.jsonl", path):
            os.utime(place, (time.time() - MONTH,) * 2)
    (tmp_path / "bisect-arm64-0123").mkdir()
    return tmp_path


def left(folder):
    return sorted(path.name[:10] for path in folder.iterdir())


def test_list(folder, capsys):
    assert main(["results", "list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("2026-01-01T00:00:00+00:00  2026-01-01T00-00-00: exit code 0; 1 PASS; 6.1.0; ")
    assert lines[-1].startswith(f"4 runs in {folder}, ")


def test_prune(folder, capsys):
    assert main(["results", "prune", str(folder), "--newest", "1"]) == 0
    assert left(folder) == ["2026-01-03", "2026-01-04", "bisect-arm"]
    out = capsys.readouterr().out
    assert f"deleted {folder}/2026-01-01T00-00-00, " in out
    assert out.splitlines()[-1].startswith("2 runs deleted, ")


def test_dry_run(folder, capsys):
    assert main(["results", "prune", str(folder), "--newest", "1", "--dry-run"]) == 0
    assert len(left(folder)) == 5
    assert f"would delete {folder}/2026-01-01T00-00-00, " in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--newest", "10"], ["--newest", "1", "--days", "40"], []])
def test_what_is_not_old_stays(words, folder, capsys):
    assert main(["results", "prune", str(folder), *words]) == 0
    assert len(left(folder)) == 5
    assert capsys.readouterr().out.startswith("0 runs deleted, 0.0 MB; ")


def test_a_folder_that_does_not_exist(tmp_path, capsys):
    assert main(["results", "list", f"{tmp_path}/none"]) == 2
    assert "no such directory" in capsys.readouterr().err
