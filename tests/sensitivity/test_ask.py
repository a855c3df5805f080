"""How a mutant is asked: the target file that pytest gets, and the verdicts that are read back."""

import os
import time

import msgspec
import sample_records

from sysevent.model import Status
from sysevent.report.run_log import RunLog
from sysevent.sensitivity import ask
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec

TARGET = TargetSpec(name="riscv64-tcg", arch="riscv64", where="tcg")


def test_target_file_is_the_target():
    row = msgspec.structs.replace(
        TARGET,
        name="a",
        append='words "and" more',
        channel="serial",
        boot=60,
        kernel="/a path/Image",
        memory=256,
        machine="gic-version=2",
    )
    assert spec.parse(ask.target_file(row).encode(), "targets.toml") == [row]


def test_own_configuration_is_part_of_it():
    text = ask.target_file(spec.with_own_configuration(TARGET))
    assert 'append = "earlycon"' in text
    assert 'channel = "serial"' in text


def test_key_depends_on_the_target():
    key = ask.asking_key(TARGET)
    assert key == ask.asking_key(TARGET)
    assert key != ask.asking_key(msgspec.structs.replace(TARGET, cpu="max"))


def test_verdicts_of_a_run(tmp_path):
    log = RunLog(tmp_path / "run.jsonl")
    for record in (
        sample_records.TARGET,
        sample_records.verdict("a", "arm64-tcg", "FAIL"),
        sample_records.verdict("a", "arm64-tcg", "PASS"),
        sample_records.verdict("a", "arm64-tcg", "FAIL", abi="i386", native=False),
    ):
        log.write(record)
    log.close()
    found = ask.read(tmp_path, "", 1.234)
    assert found.statuses == {"a": Status.PASS, "a@i386": Status.FAIL}
    assert (found.build_id, found.seconds) == ("ab" * 20, 1.23)
    assert "has no end" in found.obstacle


def test_a_run_that_has_ended(tmp_path):
    """Only then the claims that are not in its log were not asked for."""
    log = RunLog(tmp_path / "run.jsonl")
    log.write(sample_records.END)
    log.close()
    assert ask.read(tmp_path, "", 1).obstacle == ""


def test_run_that_wrote_nothing(tmp_path):
    found = ask.read(tmp_path, "not finished after 60 s", 60)
    assert (found.statuses, found.obstacle) == ({}, "not finished after 60 s")


def test_command_ends_at_its_deadline(tmp_path):
    begin = time.monotonic()
    assert ask.run(["sh", "-c", "echo begun; exec sleep 60"], os.environ, tmp_path / "out", 0.5) is None
    assert time.monotonic() - begin < 20
    assert (tmp_path / "out").read_text() == "begun\n"


def test_command_that_ends(tmp_path):
    assert ask.run(["sh", "-c", "exit $CODE"], os.environ | {"CODE": "3"}, tmp_path / "out", 60) == 3
