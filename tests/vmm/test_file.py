"""The step that reads a file: from an offset, up to a length or the end, and at most what a reply holds."""

import struct
from errno import EINVAL, EISDIR, ENOENT
from pathlib import Path

import pytest

from sysevent import wire
from sysevent.wire import Op, State


@pytest.fixture
def vmm(program, blind, serve):
    """The real supervisor with a worker that uses no KVM."""
    return serve(program.path, blind)


def read(steps, path, offset, length):
    return steps.any(Op.FILE, struct.pack("<II", offset, length) + str(path).encode())


def test_bytes_from_an_offset(vmm, steps, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 40)
    reply = vmm.ask(
        read(steps, path, 0, 4),
        read(steps, path, 5000, 3),
        read(steps, path, 10238, 9),
        read(steps, path, 20000, 9),
    )
    assert reply.state is State.DONE
    assert [found.body for found in reply.results] == [b"\0\1\2\3", bytes([136, 137, 138]), b"\xfe\xff", b""]
    assert [found.ret for found in reply.results] == [0] * 4


def test_a_file_of_unknown_size(vmm, steps):
    """Files in /proc and /sys may return fewer bytes than read() asks for, before their end."""
    with Path("/proc/self/mountinfo").open("rb") as file:
        first = file.readline()
    (found,) = vmm.ask(read(steps, "/proc/self/mountinfo", 0, 900_000)).results
    assert found.body.startswith(first[: len(first) // 2])


@pytest.mark.parametrize(
    ("path", "length", "errno"),
    [("/nowhere", 8, ENOENT), ("/", 8, EISDIR), ("/" + "x" * 127, 8, EINVAL), ("/dev/zero", 0, EINVAL)],
)
def test_errors(vmm, steps, path, length, errno):
    (found,) = vmm.ask(read(steps, path, 0, length)).results
    assert (found.ret, found.errno, found.body) == (-1, errno, b"")


def test_more_than_a_reply_holds_is_refused(vmm, steps):
    (found,) = vmm.ask(read(steps, "/dev/zero", 0, wire.BODY_MAX)).results
    assert (found.ret, found.errno) == (-1, EINVAL)
    (found,) = vmm.ask(read(steps, "/dev/zero", 0, wire.BODY_MAX - wire.LOG_MAX - 64)).results
    assert len(found.body) == wire.BODY_MAX - wire.LOG_MAX - 64


def test_a_step_cut_short(vmm, steps):
    reply = vmm.ask(steps.any(Op.FILE, b"123"))
    assert reply.state is State.BAD
