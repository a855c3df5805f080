"""sysevent diff: exit codes and what is printed."""

import json
import os
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


RECORD = RUNS.joinpath("debian-6.12.jsonl").read_bytes().split(b"\n")[0]
LOGS = {
    "empty": b"",
    "binary": bytes(range(256)) * 100,
    "not UTF-8": b'{"record":"run","id":"\xff"}\n',
    "a long line": b"[" * (8 << 20),
    "deep": b'{"record":"target","features":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "no record": b"1\n",
    "a number": b'{"record":1}\n',
    "NaN": RECORD.replace(b'"microseconds":', b'"microseconds":NaN,"x":') + b"\n",
    "a type": RECORD.replace(b'"arch":"', b'"arch":3,"x":"') + b"\n",
    "a number of 5000 digits": b'{"record":"target","seconds_to_boot":' + b"9" * 5000 + b"}\n",
    "a later schema": b'{"record":"run","schema":99}\n',
    "an escape": b'{"record":"target","\\u001b[2J":1}\n',
    "cut off at once": RECORD[:20],
}


@pytest.mark.parametrize("verb", ["diff", "report"])
@pytest.mark.parametrize("name", LOGS)
def test_invalid_logs(tmp_path, capsys, verb, name):
    """One line and exit code 2: 1 means that something differs."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(LOGS[name])
    words = [str(path)] if verb == "report" else [str(path), str(RUNS / "debian-6.12.jsonl")]
    assert main([verb, *words]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert len(err) < 500
    assert "\x1b" not in err


@pytest.mark.parametrize("verb", ["diff", "report"])
@pytest.mark.parametrize("kind", ["directory", "device", "pipe", "loop", "sparse", "missing", "null"])
def test_what_is_not_a_log(tmp_path, capsys, verb, kind):
    """Is refused at once: a pipe without a writer is not waited for, and an endless file is not read."""
    path = tmp_path / "x.jsonl"
    match kind:
        case "directory":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "sparse":
            with path.open("wb") as file:
                file.truncate(1 << 40)
        case "null":
            path = tmp_path / "x\0.jsonl"
    words = [str(path)] if verb == "report" else [str(path), str(RUNS / "debian-6.12.jsonl")]
    assert main([verb, *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


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
