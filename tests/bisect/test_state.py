"""A bisection can be resumed from what is on disk at any moment."""

import json
import os

import msgspec
import pytest
from faults import flip

from sysevent.bisect.drive import Ending
from sysevent.bisect.state import NAME, State
from sysevent.errors import UsageError


class Stop(BaseException):
    """A signal, Ctrl-C, a power cut."""


@pytest.mark.parametrize("at", [1, 2, 3, 5])
def test_interrupted_anywhere(at, ask, tree, bench):
    """The same command resumes with the build that was interrupted, and repeats no other."""

    def stop(behaviour):
        if len(bench.built) == at:
            raise Stop

    bench.on_build = stop
    try:
        ask()
    except Stop:
        bench.on_build = lambda behaviour: None
        again = bench.built.pop()
        assert ask().conclusion.end is Ending.FOUND
        assert again in bench.built
    result = ask()
    assert result.conclusion.suspects == (tree.commits[9],)
    assert len(bench.built) == len(set(bench.built))


def test_incomplete_line(ask, tree, bench, tmp_path):
    """A record that was cut off when its writer was killed is dropped, and the file can be continued."""
    ask()
    path = tmp_path / "results" / NAME
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-1]) + whole[-1][: len(whole[-1]) // 2])
    assert ask().conclusion.suspects == (tree.commits[9],)
    assert [json.loads(line) for line in path.read_bytes().splitlines()]
    assert bench.built.count(bench.built[-1]) == 2


def test_round_trip(ask, tmp_path):
    """Steps are read back unchanged, with the bytes that they were judged by."""
    state = ask().state
    again = State.resume(tmp_path / "results")
    assert again is not None
    assert again.question == state.question
    assert msgspec.json.encode([again.ends, again.steps]) == msgspec.json.encode([state.ends, state.steps])
    first = again.ends["bad"].first
    assert first is not None
    assert first.seen is not None
    assert first.seen.exits["exit"].head[36:40] == bytes(4)


def test_every_flipped_digit_is_noticed(ask, tmp_path):
    """A revision or a count that the disk has changed must not steer the search."""
    ask()
    path = tmp_path / "results" / NAME
    whole = path.read_bytes()
    # A record whose hash has lost its name counts as one of an earlier version.
    values = whole.replace(b'"sha256"', b'"sha___"')
    digits = [at for at, byte in enumerate(values) if chr(byte).isdigit()]
    for at in digits[:: max(1, len(digits) // 100)]:
        path.write_bytes(whole)
        flip(path, at)
        with pytest.raises(UsageError, match="--anew"):
            State.resume(tmp_path / "results")


@pytest.mark.parametrize(
    "content",
    [
        b"not json\n{}\n",
        b"[]\n{}\n",
        b'{"record": "bisection", "schema": 99}\n',
        b'{"record": "run"}\n',
        b"\xff\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"record": "bisection", "schema": 1, "question": {"kind": 3}}\n',
    ],
    ids=lambda content: content[:30].decode(errors="replace"),
)
def test_foreign_file(content, tmp_path):
    """A file that is not valid is refused, and the message names --anew."""
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(UsageError, match="--anew"):
        State.resume(tmp_path)


def test_nothing_there(tmp_path):
    """With no file, an empty one, or an incomplete first record, there is nothing to resume."""
    assert State.resume(tmp_path) is None
    for content in (b"", b'{"record": "bise'):
        (tmp_path / NAME).write_bytes(content)
        assert State.resume(tmp_path) is None


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_what_is_not_a_file(kind, tmp_path):
    """A pipe without a writer is not waited for, and an endless file is not read."""
    path = tmp_path / NAME
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
    with pytest.raises(UsageError, match="not a regular file"):
        State.resume(tmp_path)
