"""run.jsonl: what was written is read again, and nothing else is."""

import errno
import json
import os

import pytest

from sysevent.errors import UsageError
from sysevent.report.run_log import SCHEMA, RunLog, read


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "run.jsonl"


def test_round_trip(path):
    """A line each, in order, on disk as soon as it is written."""
    log = RunLog(path)
    log.write("run", schema=SCHEMA, argv=["a b"])
    log.write("verdict", reason="two\nlines \x1b[31m ü \u2028 end", written={"exit": ((32, 36),)})
    assert list(read(path)) == [
        {"record": "run", "schema": SCHEMA, "argv": ["a b"]},
        {"record": "verdict", "reason": "two\nlines \x1b[31m ü \u2028 end", "written": {"exit": [[32, 36]]}},
    ]
    log.close()
    text = path.read_bytes()
    assert text.isascii()
    assert text.count(b"\n") == 2
    assert b"\x1b" not in text


def test_another_run_is_not_overwritten(path):
    RunLog(path).close()
    with pytest.raises(FileExistsError):
        RunLog(path)


@pytest.mark.parametrize("cut", range(1, 76, 6))
def test_a_last_line_that_was_cut_off(path, cut):
    """By whatever ended its writer: it is left out, and all before it counts."""
    log = RunLog(path)
    log.write("run", schema=SCHEMA)
    log.write("verdict", reason="the last thing that was ever written")
    log.close()
    path.write_bytes(path.read_bytes()[:-cut])
    records = list(read(path))
    assert records[0]["record"] == "run"
    assert len(records) == (2 if cut == 1 else 1)


def test_a_full_disk(path, monkeypatch):
    """Is told once; what is there stays, and what others write behind half a record is read."""
    log = RunLog(path)
    log.write("run", schema=SCHEMA)
    room = [7]
    really = os.write

    def write(file, data):
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(file, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    assert not log.failed
    log.write("verdict", status="FAIL")
    assert "cannot be written any more: No space left on device" in log.failed
    log.write("verdict", status="FAIL")
    log.close()
    with path.open("ab") as file:
        file.write(b'\n{"record": "end"}\n')
    assert [record["record"] for record in read(path)] == ["run", "end"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"record": "run"}\nnot json\n{"record": "end"}\n', "line 2: not a record"),
        (b'[1]\n{"record": "end"}\n', "line 1: not a record of a run"),
        (b'{"some": "json"}\n', "line 1: not a record of a run"),
        (b"3\n", "line 1: not a record of a run"),
        (b"first\nsecond\n", "line 1: not a record"),
        (b"\xff\xfe\n", "cannot be read"),
        (b'{"record": "run", "schema": 99}\n', f"is of schema 99; this sysevent reads up to {SCHEMA}"),
    ],
)
def test_a_foreign_file(path, content, words):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as told:
        list(read(path))
    assert str(path) in str(told.value)


def test_a_foreign_file_of_one_line(path):
    path.parent.mkdir()
    path.write_text("root:x:0:0:root:/root:/bin/sh\n")
    with pytest.raises(UsageError):
        list(read(path))


def test_a_file_that_is_not_there(path):
    with pytest.raises(UsageError, match=r"run.jsonl cannot be read"):
        list(read(path))


def test_a_later_schema_is_refused_before_its_records_are_used(path):
    path.parent.mkdir()
    lines = [{"record": "run", "schema": SCHEMA + 1}, {"record": "verdict"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = read(path)
    with pytest.raises(UsageError):
        next(records)
