"""The answer of a Program step. tests/vmm/test_program.py has those of real programs."""

import struct

import pytest

from sysevent.decode.program import read_program
from sysevent.errors import BadWire
from sysevent.model import Answer


def answer(flags=1, status=0, lengths=(0, 0, 0), body=b"", ret=0, errno=0):
    return Answer(ret, errno, struct.pack("<H7I", flags, status, 1500, 250, 4096, *lengths) + body)


def test_an_answer():
    seen = read_program(answer(9, 0x100, (3, 2, 1), b"outerx"))
    assert (seen.output, seen.errors, seen.side) == (b"out", b"er", b"x")
    assert (seen.exit_code, seen.cut, seen.seconds, seen.cpu_seconds, seen.memory) == (
        1,
        True,
        1.5,
        0.25,
        4096,
    )


@pytest.mark.parametrize(
    ("flags", "status", "words", "code"),
    [
        (1, 0, "exit code 0", 0),
        (1, 0x8600, "exit code 134", 134),
        (1, 0x8B, "SIGSEGV", -11),
        (1, 42, "signal 42", -42),
        (3, 9, "still ran after 1.5 s", None),
        (4, 0, "still ran after 1.5 s", None),
        (16, 0, "runs", None),
    ],
)
def test_how_it_ended(flags, status, words, code):
    seen = read_program(answer(flags, status))
    assert (str(seen), seen.exit_code) == (words, code)


def test_a_program_that_was_not_started():
    assert str(read_program(answer(0, ret=-1, errno=2))) == "cannot be started: 2 (ENOENT)"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Answer(0, 0, bytes(29)), "29 bytes, which is too short"),
        (answer(lengths=(1, 0, 0)), "1 bytes of output has 30"),
        (answer(lengths=(0xFFFFFFFF,) * 3), "12884901885 bytes of output"),
        (answer(body=b"x"), "0 bytes of output has 31"),
        (answer(status=0x137F), "status 0x137f"),
        (answer(status=0xFFFFFFFF), "status 0xffffffff"),
    ],
)
def test_hostile_answers(found, words):
    with pytest.raises(BadWire, match=words):
        read_program(found)
