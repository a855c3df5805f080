"""sysevent report: the formats of the registry, and what is printed without any."""

import argparse
import json
from pathlib import Path

import msgspec
import pytest

from sysevent.cli import main, report
from sysevent.report import records, run_log, text_report
from sysevent.report.renderers import RENDERERS, Renderer

RUN = str(Path(__file__).parents[1] / "data" / "runs" / "debian-6.12.jsonl")


def test_the_default_is_the_text(capsys):
    """It is the same on the terminal, on the standard output and in a file."""
    assert main(["report", RUN]) == 0
    shown = capsys.readouterr().out
    assert main(["report", RUN, "--text", "-"]) == 0
    assert capsys.readouterr().out == shown
    assert shown.startswith("reader ")
    assert shown.endswith("\nno verdicts\n")


def test_json_is_an_array_of_the_records(tmp_path, capsys):
    assert main(["report", RUN, "--json", str(tmp_path / "run.json")]) == 0
    assert capsys.readouterr().out == ""
    found = json.loads((tmp_path / "run.json").read_text())
    assert msgspec.convert(found, list[records.Record]) == list(run_log.read(Path(RUN)))


def test_several_formats_at_once(tmp_path):
    text, array = tmp_path / "run.txt", tmp_path / "run.json"
    assert main(["report", RUN, "--text", str(text), "--json", str(array)]) == 0
    assert text.read_text() == text_report.render(list(run_log.read(Path(RUN))))
    assert array.exists()


def test_a_new_format_is_one_row(tmp_path):
    """Its option, its help and its dispatch follow from the row."""
    row = Renderer("targets", "the names of the targets", targets)
    parser = argparse.ArgumentParser()
    report.add_arguments(parser, (*RENDERERS, row))
    assert "--targets FILE" in parser.format_help()
    assert "write the names of the targets to FILE" in " ".join(parser.format_help().split())
    file = tmp_path / "targets"
    assert report.run(parser.parse_args([RUN, "--targets", str(file)])) == 0
    assert file.read_text() == "arm64-tcg riscv64-tcg x86_64-tcg"


def targets(run):
    return " ".join(record.name for record in run if isinstance(record, records.Target))


def test_a_results_directory(tmp_path, capsys):
    """Its run.jsonl is read; without one it is a usage error."""
    assert main(["report", str(tmp_path)]) == 2
    (tmp_path / "run.jsonl").write_bytes(Path(RUN).read_bytes())
    assert main(["report", str(tmp_path)]) == 0


def test_one_reader(capsys):
    """Each event is listed, also those that are read rightly."""
    assert main(["report", RUN, "--reader", "type"]) == 0
    assert "right: 'type' on arm64-tcg, arm64, arm64.psci.off: type 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reader", "type", "--json", "-"], "--reader is about the report on the terminal"),
        (["--reader", "nonsense"], "--reader nonsense: expected one of: type; "),
        (["--text", "/nowhere/file"], "/nowhere/file cannot be written: No such file or directory"),
    ],
)
def test_usage(words, message, capsys):
    assert main(["report", RUN, *words]) == 2
    assert f"sysevent: {message}" in capsys.readouterr().err
