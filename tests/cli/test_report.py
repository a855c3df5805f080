"""sysevent report: the formats of the registry, what is printed without any, and the exit code."""

import json
from pathlib import Path

import msgspec
import pytest
from sample_records import END, RUN, TARGET, verdict

from sysevent.cli import main
from sysevent.report import records, run_log, text_report

# The records of targets and observations alone: as of a run that was killed.
RECORDING = str(Path(__file__).parents[1] / "data" / "runs" / "debian-6.12.jsonl")
KILLED = 2


@pytest.fixture
def runs(tmp_path):
    """runs(name, records...): a results directory with these records behind that of the run."""

    def make(name, *found, tail=""):
        folder = tmp_path / name
        folder.mkdir()
        lines = [json.dumps(msgspec.to_builtins(record)) for record in (RUN, TARGET, *found)]
        (folder / "run.jsonl").write_text("\n".join(lines) + f"\n{tail}")
        return str(folder)

    return make


def of(name, status):
    return verdict(f"kvm.system_event.arm64.{name}", "arm64-tcg", status)


def test_the_default_is_the_text(capsys):
    """It is the same on the terminal, on the standard output and in a file."""
    assert main(["report", RECORDING]) == KILLED
    shown = capsys.readouterr().out
    assert main(["report", RECORDING, "--text", "-"]) == KILLED
    assert capsys.readouterr().out == shown
    assert shown.startswith("reader ")
    assert shown.endswith(" is here\nno verdicts\n")


def test_json_is_an_array_of_the_records(tmp_path, capsys):
    assert main(["report", RECORDING, "--json", str(tmp_path / "run.json")]) == KILLED
    assert capsys.readouterr().out == ""
    found = json.loads((tmp_path / "run.json").read_text())
    assert msgspec.convert(found, list[records.Record]) == list(run_log.read(Path(RECORDING)))


def test_several_formats_at_once(tmp_path):
    text, array = tmp_path / "run.txt", tmp_path / "run.json"
    main(["report", RECORDING, "--text", str(text), "--json", str(array)])
    assert text.read_text() == text_report.render(list(run_log.read(Path(RECORDING))))
    assert array.exists()


def test_the_exit_code_is_that_of_the_run(runs, capsys):
    """Of several runs it is the worst, and they are one report."""
    passed, failed = runs("1", of("a", "PASS"), END), runs("2", of("b", "FAIL"), END)
    assert main(["report", passed]) == 0
    assert main(["report", failed]) == 1
    capsys.readouterr()
    assert main(["report", passed, failed]) == 1
    assert capsys.readouterr().out.endswith("\n1 FAIL, 1 PASS\n")
    # Named twice, it counts once.
    assert main(["report", passed, f"{passed}/run.jsonl", passed]) == 0


def test_a_run_that_was_killed(runs, capsys):
    """What it had recorded is shown, without the line that was cut off, and it does not count as passed."""
    killed = runs("1", of("a", "PASS"), tail='{"record": "verdict", "te')
    assert main(["report", killed]) == KILLED
    out = capsys.readouterr().out
    assert "run 1: it has no end: it was killed or still runs" in out
    assert out.endswith("\n1 PASS\n")


def test_a_results_directory(tmp_path, capsys):
    """Its run.jsonl is read; without one it is a usage error."""
    assert main(["report", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "run.jsonl").write_bytes(Path(RECORDING).read_bytes())
    assert main(["report", str(tmp_path)]) == KILLED
    assert capsys.readouterr().err == ""


def test_one_reader(capsys):
    """Each event is listed, also those that are read rightly."""
    main(["report", RECORDING, "--reader", "type"])
    assert "right: 'type' on arm64-tcg, arm64, arm64.psci.off: type 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reader", "type", "--json", "-"], "--reader is about the report on the terminal"),
        (["--reader", "nonsense"], "--reader nonsense: expected one of: type; "),
        (
            ["--text", "/dev/null/file"],
            "--text /dev/null/file cannot be written: /dev/null is not a directory",
        ),
        (["--text", "-", "--json", "-"], "--text - and --json -: each format needs a place of its own"),
        (["/nowhere", "--text", "{tmp}/x"], "/nowhere cannot be read: No such file or directory"),
    ],
)
def test_usage(words, message, tmp_path, capsys):
    """Before anything is written."""
    assert main(["report", RECORDING, *(word.format(tmp=tmp_path) for word in words)]) == 2
    found = capsys.readouterr()
    assert f"sysevent: {message}" in found.err
    assert found.out == ""
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_takes_no_other_along(tmp_path, capsys):
    """/dev/full is a disk without space."""
    assert main(["report", RECORDING, "--text", "/dev/full", "--json", f"{tmp_path}/json"]) == 3
    assert (tmp_path / "json").exists()
    assert (
        "sysevent: --text could not be written: /dev/full: No space left on device" in capsys.readouterr().err
    )
