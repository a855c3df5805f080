"""The supervisor: it answers after any input, and after any end of its workers. Needs no KVM."""

import errno
import os
import struct
import time
import zlib
from pathlib import Path

import pytest
from processes import has_ended

from sysevent import wire
from sysevent.wire import Frame, State

# Seconds: fewer than the five for which the supervisor waits for a channel that may come back.
SOON = 3


def outcome(reply):
    """The state and the detail of a reply without results."""
    assert reply.results == ()
    return reply.state, reply.detail


def test_hello(program, start):
    """Version of the wire, ABI, this kernel's release and machine, and the build ID of the VMM."""
    frame = start(program.path, "serve", f"1:{program.path}").frame()
    assert (frame.kind, frame.abi, frame.sequence) == (wire.Kind.HELLO, 1, 0)
    names = os.uname()
    assert wire.unpack_hello(frame.body) == wire.Hello(
        wire.VERSION, 1, names.release, "x86_64", program.build_id
    )


def test_requests_are_answered_in_order(program, serve, steps):
    """One worker answers all of them."""
    vmm = serve(program.path, program.path)
    for _ in range(3):
        reply = vmm.ask(steps.open("/"), steps.open("/not-here"))
        assert reply.state is State.DONE
        assert [(found.op, found.ret, found.errno) for found in reply.results] == [
            (wire.Op.OPEN, 0, 0),
            (wire.Op.OPEN, -1, 2),
        ]
    assert len(vmm.workers()) == 1


def test_unknown_abi(program, serve, steps):
    """There is no worker for it, and the next request is answered."""
    vmm = serve(program.path, program.path)
    assert outcome(vmm.ask(steps.open("/"), abi=2)) == (State.NO_WORKER, 0)
    assert vmm.ask(steps.open("/")).state is State.DONE


def header(length, magic=wire.NO_KEY):
    fields = magic + struct.pack("<HHII", 2, 1, 1, length)
    return fields + struct.pack("<I", zlib.crc32(fields))


@pytest.mark.parametrize(
    "noise",
    [
        b"login: \r\n",
        b"SEV2SEV2SEV2 and no frame" + bytes(16),
        wire.NO_KEY * 3 + bytes(16),
        header((1 << 20) + 1),
        header(0xFFFFFFFF),
        header(1000, wire.new_key()),
        header(1000)[:-1] + b"x",
        bytes(100_000),
    ],
    ids=["text", "magics", "keys", "too_long", "longest", "other_key", "header_crc", "zeros"],
)
def test_noise_before_a_frame_is_skipped(program, serve, steps, noise):
    vmm = serve(program.path, program.path)
    vmm.send(noise)
    assert vmm.ask(steps.open("/")).state is State.DONE


@pytest.mark.parametrize("place", [36, -1], ids=["body", "crc"])
def test_a_damaged_frame_is_dropped(program, serve, steps, place):
    """The VMM reports it, and answers the next frame."""
    vmm = serve(program.path, program.path)
    damaged = bytearray(wire.pack(Frame(wire.Kind.REQUEST, 1, 99, wire.pack_request(100, [steps.open("/")]))))
    damaged[place] ^= 1
    vmm.send(bytes(damaged))
    assert vmm.ask(steps.open("/")).state is State.DONE
    assert "a frame with a wrong checksum was dropped" in vmm.errors()


@pytest.mark.parametrize("place", [0, 15, 16, 18, 20, 24, 28], ids=lambda place: f"byte_{place}")
def test_a_damaged_header_is_skipped(program, serve, steps, place):
    """Its length is not believed: the next frame is answered at once."""
    vmm = serve(program.path, program.path)
    damaged = bytearray(wire.pack(Frame(wire.Kind.REQUEST, 1, 99, wire.pack_request(100, [steps.open("/")]))))
    damaged[place] ^= 0x40
    vmm.send(bytes(damaged))
    assert vmm.ask(steps.open("/")).state is State.DONE


def test_the_key(program, serve, steps):
    """After a PING every frame begins with its key, and a request without it is not carried out."""
    vmm = serve(program.path, program.path)
    first = vmm.give_key()
    assert (first.kind, first.sequence) == (wire.Kind.HELLO, wire.PING_SEQUENCE)
    assert wire.unpack_hello(first.body).build_id == program.build_id
    body = wire.pack_request(100, [steps.open("/")])
    for key in (wire.NO_KEY, wire.new_key()):
        vmm.send(wire.pack(Frame(wire.Kind.REQUEST, 1, 50, body), key))
        vmm.send(wire.pack(Frame(wire.Kind.BYE, 0, 0, b""), key))
    assert vmm.ask(steps.open("/")).state is State.DONE


def test_another_key_replaces_the_first(program, serve, steps):
    """The VMM of a restored guest has the key of an earlier run."""
    vmm = serve(program.path, program.path)
    vmm.give_key()
    vmm.give_key()
    assert vmm.ask(steps.open("/")).state is State.DONE


@pytest.mark.parametrize("size", [0, 15, 17, 1000])
def test_a_ping_without_a_key(program, serve, steps, size):
    """It changes nothing."""
    vmm = serve(program.path, program.path)
    vmm.send(wire.pack(Frame(wire.Kind.PING, 0, 1, bytes(size))))
    assert vmm.ask(steps.open("/")).state is State.DONE


def test_the_kernel_s_log(program, serve, steps):
    """Each reply says whether the log could be read, and the taint bits before and after."""
    log = serve(program.path, program.path).ask(steps.open("/")).log
    taint = int(Path("/proc/sys/kernel/tainted").read_text())
    assert log.taint == (taint, taint)
    assert log.log_errno in (0, errno.EPERM, errno.ENOENT)


def test_other_frames_are_not_answered(program, serve, steps):
    vmm = serve(program.path, program.path)
    vmm.send(wire.pack(Frame(wire.Kind.REPLY, 1, 50, b"")) + wire.pack(Frame(77, 1, 51, b"")))
    assert vmm.ask(steps.open("/")).state is State.DONE


@pytest.mark.parametrize(("mode", "number"), [(None, 2), (0o644, 13)], ids=["missing", "not_executable"])
def test_a_worker_that_cannot_be_started(program, serve, steps, tmp_path, mode, number):
    """Each request gets the errno of execve at once."""
    path = tmp_path / "worker"
    if mode is not None:
        path.write_bytes(program.path.read_bytes())
        path.chmod(mode)
    vmm = serve(program.path, path)
    begin = time.monotonic()
    for _ in range(2):
        assert outcome(vmm.ask(steps.open("/"))) == (State.DIED, -number)
    assert time.monotonic() - begin < SOON


def test_a_worker_killed_between_requests(program, serve, steps, kill):
    """The next request gets its signal, and the one after that a new worker."""
    vmm = serve(program.path, program.path)
    vmm.ask(steps.open("/"))
    (old,) = vmm.workers()
    kill(old)
    begin = time.monotonic()
    assert outcome(vmm.ask(steps.open("/"))) == (State.DIED, 9)
    assert vmm.ask(steps.open("/")).state is State.DONE
    assert time.monotonic() - begin < SOON
    assert vmm.workers() != [old]


def test_a_worker_killed_during_a_request(program, blind, serve, steps):
    """That request gets its signal."""
    vmm = serve(program.path, blind)
    sequence = vmm.request(wire.pack_request(60_000, [steps.sleep(60_000)]))
    begin = time.monotonic()
    while not vmm.workers() and time.monotonic() - begin < SOON:
        time.sleep(0.002)
    (worker,) = vmm.workers()
    os.kill(worker, 9)
    assert outcome(vmm.reply(sequence)) == (State.DIED, 9)
    assert time.monotonic() - begin < SOON
    assert vmm.ask(steps.sleep(0)).state is State.DONE


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_worker_that_ends_by_itself(program, serve, steps, tmp_path):
    """Detail is its exit code, negated."""
    vmm = serve(program.path, script(tmp_path / "worker", "exit 7"))
    assert outcome(vmm.ask(steps.open("/"))) == (State.DIED, -7)


def test_a_worker_that_sends_no_frame(program, serve, steps, tmp_path):
    """Its output is skipped, and its end is reported."""
    vmm = serve(program.path, script(tmp_path / "worker", "echo 'no frame at all'"))
    assert outcome(vmm.ask(steps.open("/"))) == (State.DIED, 0)


def test_a_worker_that_hangs(blind, serve, steps, tmp_path):
    """It is killed after its request's deadline and a grace period; a new one answers the next request."""
    marker = tmp_path / "hung"
    text = f"if [ -e {marker} ]; then exec {blind} work; fi; touch {marker}; exec sleep 60"
    vmm = serve(blind, script(tmp_path / "worker", text))
    begin = time.monotonic()
    sequence = vmm.request(wire.pack_request(300, [steps.sleep(0)]))
    while not marker.exists() and time.monotonic() - begin < SOON:
        time.sleep(0.002)
    (worker,) = vmm.workers()
    reply = vmm.reply(sequence)
    took = time.monotonic() - begin
    assert reply.state is State.HUNG
    assert 0.5 <= took < SOON
    assert has_ended(worker)
    assert vmm.ask(steps.sleep(0)).state is State.DONE


def test_the_grace_is_counted_from_the_request_s_deadline(blind, serve, steps):
    """A request with a longer deadline is not taken for one that hangs."""
    vmm = serve(blind, blind)
    assert vmm.ask(steps.sleep(400), milliseconds=1000).state is State.DONE
    assert vmm.ask(steps.sleep(1000), milliseconds=100).state is State.HUNG


def test_bye(program, serve, steps):
    """The supervisor exits with 0, and its worker ends."""
    vmm = serve(program.path, program.path)
    vmm.ask(steps.open("/"))
    (worker,) = vmm.workers()
    vmm.send(wire.pack(Frame(wire.Kind.BYE, 0, 0, b"")))
    assert vmm.process.wait(SOON) == 0
    assert has_ended(worker)


def test_end_of_input(blind, serve):
    """The supervisor exits with 1 when the channel has not come back, and reports why."""
    vmm = serve(blind, blind)
    assert vmm.end() == 1
    assert "the channel to the harness ended: errno 5" in vmm.errors()


def test_input_that_ends_within_a_frame(blind, serve, steps):
    vmm = serve(blind, blind)
    vmm.send(wire.pack(Frame(wire.Kind.REQUEST, 1, 1, bytes(100)))[:50])
    assert vmm.end() == 1


def test_a_killed_supervisor_takes_its_worker_along(program, blind, serve, steps):
    """Also a worker that is busy, and would read the end of its input a minute later."""
    vmm = serve(program.path, blind)
    vmm.ask(steps.sleep(0))
    (worker,) = vmm.workers()
    vmm.request(wire.pack_request(60_000, [steps.sleep(60_000)]))
    time.sleep(0.05)
    vmm.process.kill()
    assert has_ended(worker)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "usage: vmm serve"),
        (("serve",), "usage: vmm serve"),
        (("work", "more"), "usage: vmm serve"),
        (("serve", "/vmm"), "a worker is named"),
        (("serve", "1:/a", "2:/b", "3:/c", "4:/d", "5:/e"), "at most 4"),
    ],
    ids=["nothing", "no_worker", "too_much", "no_abi", "five"],
)
def test_wrong_arguments(program, start, arguments, words):
    """Exit code 2 and one sentence."""
    vmm = start(program.path, *arguments)
    assert vmm.process.wait(SOON) == 2
    assert words in vmm.errors()
