"""run.jsonl: what was written is read again, and nothing else is accepted."""

import errno
import json
import os

import msgspec
import pytest
from sample_records import END, RUN, verdict

from sysevent.errors import UsageError
from sysevent.report import records
from sysevent.report.records import SCHEMA
from sysevent.report.run_log import RunLog, read

PASSED = verdict("a.b", "arm64-tcg", "PASS")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "run.jsonl"


@pytest.fixture
def recorded(path):
    """Return a function that writes lines into a run.jsonl, given as text, bytes or values, and returns its path."""

    def write(*lines):
        path.parent.mkdir()
        texts = [line if isinstance(line, str | bytes) else json.dumps(line) for line in lines]
        path.write_bytes(b"".join((t if isinstance(t, bytes) else t.encode()) + b"\n" for t in texts))
        return path

    return write


def fields(record, /, **changes):
    """Return a record as a dict, with other fields."""
    return {**msgspec.to_builtins(record), **changes}


def test_round_trip(path):
    """Each record is a line of ASCII, on disk as soon as it is written."""
    log = RunLog(path)
    odd = msgspec.structs.replace(PASSED, reason="two\nlines \x1b[31m ü \u2028 end")
    log.write(RUN)
    log.write(odd)
    assert list(read(path)) == [RUN, odd]
    log.close()
    text = path.read_bytes()
    assert text.isascii()
    assert text.count(b"\n") == 2
    assert b"\x1b" not in text
    assert text.startswith(b'{"record": "run", "schema": 1, "id": "1", ')


def test_a_line_is_what_json_writes(path):
    """Programs that read it may search for the bytes."""
    log = RunLog(path)
    for record in (RUN, PASSED):
        log.write(record)
    log.close()
    assert path.read_text().splitlines() == [json.dumps(fields(record)) for record in (RUN, PASSED)]


def test_a_path_that_is_not_utf_8(path):
    """Python represents it with half surrogate pairs."""
    log = RunLog(path)
    odd = msgspec.structs.replace(RUN, argv=(os.fsdecode(b"results/\xff"),))
    log.write(odd)
    log.close()
    assert list(read(path)) == [odd]


def test_another_run_is_not_overwritten(path):
    RunLog(path).close()
    with pytest.raises(FileExistsError):
        RunLog(path)


@pytest.mark.parametrize("cut", range(1, 76, 6))
def test_a_last_line_that_was_cut_off(path, cut):
    """It is left out, and everything before it counts."""
    log = RunLog(path)
    log.write(RUN)
    log.write(PASSED)
    log.close()
    path.write_bytes(path.read_bytes()[:-cut])
    found = list(read(path))
    assert found[0] == RUN
    assert len(found) == (2 if cut == 1 else 1)


def test_a_full_disk(path, monkeypatch):
    """The error is kept once; records before it, and those of other processes after it, are read."""
    log = RunLog(path)
    log.write(RUN)
    left = [7]
    really = os.write

    def write(file, data):
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(file, data[: left.pop()])

    monkeypatch.setattr(os, "write", write)
    assert not log.failed
    log.write(PASSED)
    assert "cannot be written any more: No space left on device" in log.failed
    log.write(PASSED)
    log.close()
    with path.open("ab") as file:
        file.write(b"\n" + json.dumps(fields(END)).encode() + b"\n")
    assert list(read(path)) == [RUN, END]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([fields(RUN), "not json", fields(END)], "line 2: not a record"),
        ([[1], fields(END)], "line 1: not a record of a run"),
        ([{"some": "json"}], "line 1: not a record of a run"),
        (["3"], "line 1: not a record of a run"),
        (["first", "second"], "line 1: not a record"),
        (['{"record": "run", "sche'], "line 1: not a record"),
        ([fields(RUN), "", fields(END)], None),
        ([b"\xff\xfe"], "cannot be read"),
        (["root:x:0:0:root:/root:/bin/sh"], "line 1: not a record"),
        ([fields(RUN, schema=99)], f"line 1: the run is of schema 99; this sysevent reads up to {SCHEMA}"),
        ([{"record": "run", "schema": 99, "id": []}], "schema 99"),
        ([fields(RUN, schema=-1)], r"line 1: not a record of a run: .*\$\.schema"),
        ([fields(RUN), {"record": "end"}], "line 2: not a record of a run: .*counts"),
    ],
)
def test_a_foreign_or_damaged_file(recorded, lines, words):
    path = recorded(*lines)
    if words is None:
        assert len(list(read(path))) == 2
        return
    with pytest.raises(UsageError, match=words) as caught:
        list(read(path))
    assert str(path) in str(caught.value)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "line",
    [
        fields(PASSED, test=1),
        fields(PASSED, test=None),
        fields(PASSED, status="BROKEN"),
        fields(PASSED, status="\x1b[31m"),
        fields(PASSED, status="\ud800"),
        fields(PASSED, raw={"exit": "\ud800"}),
        fields(PASSED, raw={"exit": "xyz"}),
        fields(PASSED, written={"exit": [[1]]}),
        fields(PASSED, native="yes"),
        fields(PASSED, seconds=-1),
        fields(PASSED, seconds=10**400),
        fields(PASSED, seconds=float("nan")),
        fields(PASSED, expected=[]),
        fields(END, exit=1.5),
        fields(END, counts={"BROKEN": 1}),
        fields(END, record=3),
        fields(END, record=["end"]),
        '{"record": "end", "counts": {}, "exit": ' + "9" * 5000 + "}",
        '{"record": "end", "later": ' + DEEP + "}",
        '{"record": "later", "later": ' + DEEP + "}",
        '{"record": "end", "counts": ' + "[" * 100_000,
        '{"record": "end", "exit": 0, "exit": {}, "counts": []}',
    ],
    ids=lambda line: str(line)[:40],
)
def test_hostile_content(recorded, line):
    """Its error is one of ours, and prints nothing that a terminal acts on."""
    with pytest.raises(UsageError, match="line 2: not a record") as caught:
        list(read(recorded(fields(RUN), line)))
    assert str(caught.value).isprintable()


def test_large_numbers(recorded):
    """Numbers of more than 64 bits are numbers all the same."""
    (found,) = read(recorded(fields(END, exit=1 << 100)))
    assert found.exit == 1 << 100


def test_records_of_an_unknown_kind_are_left_out(recorded):
    """A later version can add kinds and fields without a new schema."""
    later = {"record": "later", "anything": [{"a": None}]}
    assert list(read(recorded(fields(RUN, later=1), later, fields(END)))) == [RUN, END]


def test_a_file_that_does_not_exist(path):
    with pytest.raises(UsageError, match=r"run.jsonl cannot be read"):
        list(read(path))


def test_a_later_schema_is_refused_before_its_records_are_used(recorded):
    found = read(recorded(fields(RUN, schema=SCHEMA + 1), fields(END)))
    with pytest.raises(UsageError):
        next(found)


def test_records_are_typed(recorded):
    assert [type(record) for record in read(recorded(fields(RUN), fields(PASSED)))] == [
        records.Run,
        records.Verdict,
    ]
