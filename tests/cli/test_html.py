"""Pages of HTML from `sysevent report`, with and without --history, and from `sysevent diff`."""

import pytest

from sysevent import cli
from sysevent.bench import simulated_runs
from sysevent.checkout import ROOT

RECORDINGS = ROOT / "tests" / "data" / "runs"


@pytest.fixture
def results(tmp_path):
    """A directory of three results directories."""
    simulated_runs.write(tmp_path / "results", 3, 10)
    return tmp_path / "results"


def test_a_history(results, tmp_path):
    page = tmp_path / "history.html"
    assert cli.main(["report", "--history", str(results), "--html", str(page)]) == 0
    assert "3 runs" in page.read_text()


def test_a_history_on_the_standard_output(results, capsys):
    assert cli.main(["report", "--history", str(results), "--html", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{results}"], "--history is written as HTML only"),
        (["{results}", "--json", "x"], "--history is written as HTML only"),
        (["--html", "x"], "name results directories"),
        (["{results}/run-00000/run.jsonl", "{results}/none", "--html", "x"], "none has no run.jsonl"),
    ],
)
def test_a_history_that_cannot_be_written(results, words, message, capsys, tmp_path, monkeypatch):
    # A checkout may be read-only.
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "--history", *(word.format(results=results) for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_a_history_in_a_place_that_cannot_be_written(results, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["report", "--history", str(results), "--html", str(tmp_path / "file" / "x.html")]) != 0
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "run.jsonl"])
def test_a_run_with_the_end_of_its_logs(results, tmp_path, name):
    """They lie beside the log, whether that or its directory is named."""
    logs = results / "run-00000" / "board-0"
    logs.mkdir()
    (logs / "console.log").write_text("Kernel panic - not syncing\n")
    page = tmp_path / "run.html"
    cli.main(["report", str(results / "run-00000" / name), "--html", str(page)])
    assert "Kernel panic - not syncing" in page.read_text()


def test_a_difference(tmp_path):
    page = tmp_path / "difference.html"
    words = [str(RECORDINGS / f"debian-{name}.jsonl") for name in ("5.10", "6.1")]
    assert cli.main(["diff", *words, "--html", str(page)]) == 1
    assert "differences in" in page.read_text()
    assert cli.main(["diff", words[0], words[0], "--html", str(page)]) == 0
    assert "Nothing differs" in page.read_text()
