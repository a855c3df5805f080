"""sysevent diff: exit codes and what is printed."""

import json
from pathlib import Path

import pytest

from sysevent.cli import main

RUNS = Path(__file__).parents[1] / "data" / "runs"


@pytest.mark.parametrize(("one", "other", "code"), [("5.10", "5.10", 0), ("5.10", "6.1", 1)])
def test_exit_code(one, other, code, capsys):
    """0 when nothing differs, 1 when something does; both kernels are named."""
    assert main(["diff", str(RUNS / f"debian-{one}.jsonl"), str(RUNS / f"debian-{other}.jsonl")]) == code
    out = capsys.readouterr().out
    assert "- arm64-tcg: Linux 5.10" in out
    assert ("nothing differs" in out) == (code == 0)


def test_results_directory_and_json(tmp_path, capsys):
    """A results directory works as well as its run.jsonl, and --json gives every difference with its bytes."""
    (tmp_path / "run.jsonl").write_bytes((RUNS / "debian-5.10.jsonl").read_bytes())
    code = main(["diff", str(tmp_path), str(RUNS / "debian-6.1.jsonl"), "--arch", "x86_64", "--json"])
    assert code == 1
    found = json.loads(capsys.readouterr().out)
    assert any(one["what"] == "ndata" and one["span"] == [36, 40] for one in found["differences"])
    assert {one["target"] for one in found["differences"]} == {"x86_64-tcg"}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["{empty}", "{run}"], id="a directory without a run"),
        pytest.param(["{run}", "none.jsonl"], id="no such file"),
        pytest.param(["{run}", "{run}", "--arch", "vax"], id="no such architecture"),
    ],
)
def test_usage(words, tmp_path, capsys):
    """An argument that is neither a run nor a kernel is refused, with exit code 2."""
    names = {"empty": tmp_path, "run": RUNS / "debian-6.1.jsonl"}
    assert main(["diff", *(word.format(**names) for word in words)]) == 2
    assert capsys.readouterr().err.startswith("sysevent: ")
