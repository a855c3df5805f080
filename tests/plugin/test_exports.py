"""The formats of reports that a run writes at its end."""

import json
import signal

import pytest

from sysevent.checkout import ROOT

ONE = ["--arch", "arm64", "-k", "test_arm64 and off and not written"]


def test_a_run_writes_what_was_asked(runs, tmp_path):
    """With the end of the run, in place of what was there."""
    (tmp_path / "json").write_text("old")
    runs.start("formats", *ONE, "--export", f"json={tmp_path}/json", f"--export=text={tmp_path}/text")
    found = runs["formats"]
    assert found.code == 0, found.out
    everything = json.loads((tmp_path / "json").read_text())
    assert everything[-1] == found.records("end")[0]
    assert (tmp_path / "text").read_text().endswith("1 PASS\n")


def test_the_log_of_a_run_follows_the_published_schema(runs):
    """Line by line, as a program of somebody else would check it."""
    pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install --group dev")
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads((ROOT / "docs" / "run.schema.json").read_text()))
    runs.start("schema", "--arch", "arm64")
    lines = (runs["schema"].results / "run.jsonl").read_text().splitlines()
    for line in lines:
        validator.validate(json.loads(line))
    kinds = {json.loads(line)["record"] for line in lines}
    assert kinds >= {"run", "target", "verdict", "end"}


def test_several_processes(runs, tmp_path):
    """The controller writes them, once, from the records of all."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")
    runs.start("formats-xdist", *ONE, "-n", "2", "--export", f"json={tmp_path}/json")
    found = runs["formats-xdist"]
    assert found.code == 0, found.out
    assert json.loads((tmp_path / "json").read_text())[-1]["counts"] == {"PASS": 1}


def test_a_format_that_cannot_be_written(runs, tmp_path):
    """One line says so and how to get it; the verdicts and the other formats are not affected."""
    runs.start("full", *ONE, "--export", "text=/dev/full", "--export", f"json={tmp_path}/json")
    found = runs["full"]
    assert found.code == 0, found.out
    assert (
        "--text could not be written: /dev/full: No space left on device; the verdicts are not affected, and this "
        f"writes it again: ./sysevent report {found.results} --text /dev/full\n"
    ) in found.out
    assert (tmp_path / "json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["json=-"], "--json -: the standard output has the progress of the run; name a file"),
        (["jsom=x"], "--export jsom, did you mean json?; expected one of text, json, "),
        (["x"], "--export x: expected FORMAT=FILE, such as text=x"),
        (["text=x", "json=./x"], "--text x and --json ./x: each format needs a place of its own"),
        (["text=/dev/null/x"], "--text /dev/null/x cannot be written: /dev/null is not a directory"),
    ],
)
def test_usage(runs, words, message):
    """In one line, before anything is collected."""
    name = f"usage-{words[0][-6:].replace('/', '')}"
    runs.start(name, *(f"--export={word}" for word in words))
    assert runs[name].code == 4
    assert message in runs[name].out


def test_nothing_was_asked(runs, tmp_path):
    """The file of an earlier run does not stay."""
    (tmp_path / "text").write_text("old")
    runs.start("none", "-k", "asks_no_kernel", "--export", f"text={tmp_path}/text")
    assert f"--text {tmp_path}/text was not written: no claim was asked" in runs["none"].out
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run(runs, tmp_path):
    """It writes what it has."""
    begun = tmp_path / "begun"
    process = runs.start(
        "formats-term",
        *["--arch", "arm64", "-k", "test_arm64 and not written"],
        f"--export=text={tmp_path}/text",
        breaks={"arm64.psci.reset2": "waits"},
        begun=str(begun),
    )
    while not begun.exists():
        assert process.poll() is None, runs["formats-term"].out
    process.send_signal(signal.SIGTERM)
    assert runs["formats-term"].code == 2
    assert "interrupted by SIGTERM: only what it had asked" in (tmp_path / "text").read_text()
