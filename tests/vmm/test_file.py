"""The step that reads a file: from an offset, up to a length or the end, and at most what a reply holds."""

import os
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


def read(steps, path, offset, length, containing=""):
    which = f"{path}\0{containing}" if containing else str(path)
    return steps.any(Op.FILE, struct.pack("<II", offset, length) + which.encode())


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


def test_lines_that_contain_a_text(vmm, steps, tmp_path):
    """As many as fit; also one in two parts of the buffer, and the last one without its end, but not endless ones."""
    path = tmp_path / "file"
    long = "x" * 8000
    path.write_text(f"a kvm\nb\n{long}\n{long} kvm\nc\n{'y' * 40000} kvm\nkvm\nd kvm")
    found = vmm.ask(
        read(steps, path, 0, 20000, "kvm"),
        read(steps, path, 0, 9, "kvm"),
        read(steps, path, 0, 100, "vmx"),
        read(steps, "/nowhere", 0, 100, "kvm"),
    ).results
    first = f"a kvm\n{long} kvm\n"
    # Of the endless line only the beginning is dropped.
    assert found[0].body.decode().startswith(first)
    assert found[0].body.endswith(b" kvm\nkvm\nd kvm")
    assert len(found[0].body) < 20000
    assert [one.body for one in found[1:]] == [b"a kvm\n", b"", b""]
    assert [one.errno for one in found] == [0, 0, 0, ENOENT]


def test_lines_of_what_has_no_end(vmm, steps, tmp_path):
    """A pipe that is open elsewhere, as the kernel's log is: what is there is read, and nothing is waited for."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    os.write(end, b"one kvm\ntwo\n")
    try:
        (found,) = vmm.ask(read(steps, path, 0, 100, "kvm")).results
    finally:
        os.close(end)
    assert (found.body, found.errno) == (b"one kvm\n", 0)
