"""The interpreter of steps: it runs well-formed ones and reports malformed ones. These need no KVM."""

import itertools
import struct
import time
from errno import EINVAL, EISDIR, EMFILE, ENOENT, ENOMEM, ENOTTY

import pytest

from sysevent import wire
from sysevent.wire import Op, State

PAGE = 4096


@pytest.fixture
def vmm(program, blind, serve):
    """The real supervisor with a worker that uses no KVM."""
    return serve(program.path, blind)


def memory(gpa, size=PAGE, slot=0):
    return struct.pack("<QQI", gpa, size, slot)


def outcomes(reply):
    return [(found.ret, found.errno) for found in reply.results]


def test_open(vmm, steps, tmp_path):
    """A result is 0, or -1 and the errno of open()."""
    (tmp_path / "file").touch()
    reply = vmm.ask(
        steps.open(tmp_path / "file", 2),
        steps.open(tmp_path / "missing"),
        steps.open(tmp_path, 2),
        steps.open("/" + "x" * 126),
        steps.open("/" + "x" * 127),
    )
    assert reply.state is State.DONE
    assert outcomes(reply) == [(0, 0), (-1, ENOENT), (-1, EISDIR), (-1, ENOENT), (-1, EINVAL)]


def test_sleep(vmm, steps):
    """The reply comes after that time."""
    begin = time.monotonic()
    assert vmm.ask(steps.sleep(120)).state is State.DONE
    assert 0.12 <= time.monotonic() - begin < 2


def test_without_kvm(start, blind, steps):
    """Each step that needs KVM gives the errno of opening it, and a required one ends the scenario.

    This worker cannot open /dev/kvm, because it may have no more than three files open.
    """
    vmm = start("sh", "-c", f"ulimit -n 3; exec {blind} work")
    vm = struct.pack("<Q", 0)
    reply = vmm.ask(steps.any(Op.VM, vm), steps.sleep(0), steps.any(Op.VM, vm, required=True), steps.sleep(0))
    assert (reply.state, reply.detail) == (State.STOPPED, 2)
    assert outcomes(reply) == [(-1, EMFILE)] * 3


def test_errors_of_ioctls(vmm, steps):
    """/dev/null gives ENOTTY for each of KVM's ioctls, and a VM that does not exist EINVAL."""
    reply = vmm.ask(
        steps.any(Op.VM, struct.pack("<Q", 0)),
        steps.any(Op.IOCTL, struct.pack("<IIQ", 0, 0xAE03, 215)),
        steps.any(Op.IOCTL, struct.pack("<IIQ", 1, 0xAE03, 215)),
        steps.any(Op.IOCTL, struct.pack("<IIQ", 0, 0xAE03, 0) + b"buffer"),
    )
    assert outcomes(reply) == [(-1, ENOTTY), (-1, ENOTTY), (-1, EINVAL), (-1, ENOTTY)]
    assert reply.results[3].body == b"buffer"


@pytest.mark.parametrize(
    ("pointer", "value", "buffer", "fits"),
    [
        (0, 8, bytes(16), True),
        (8, 15, bytes(16), True),
        (9, 8, bytes(16), False),
        (0, 16, bytes(16), False),
        (0, 1, bytes(7), False),
        (0xFFFFFFFF, 1, bytes(16), False),
    ],
)
def test_pointers_into_an_ioctl_s_buffer(vmm, steps, pointer, value, buffer, fits):
    """Pointer and value must lie within the buffer; the buffer that comes back holds no address of the VMM."""
    body = struct.pack("<IIQ", 0, 0xAE03, pointer << 32 | value) + buffer
    reply = vmm.ask(steps.any(Op.IOCTL, body))
    assert outcomes(reply) == [(-1, ENOTTY if fits else EINVAL)]
    assert reply.results[0].body == (buffer if fits else b"")


def test_memory_is_written_and_read(vmm, steps):
    """Steps may use all bytes of one region, and none beyond its end."""
    at = 0x10000
    reply = vmm.ask(
        steps.any(Op.MEMORY, memory(at)),
        steps.any(Op.WRITE, struct.pack("<Q", at + PAGE - 4) + b"last"),
        steps.any(Op.READ, struct.pack("<QI", at + PAGE - 6, 6)),
        steps.any(Op.WRITE, struct.pack("<Q", at + PAGE - 4) + b"beyond"),
        steps.any(Op.WRITE, struct.pack("<Q", at - 1) + b"x"),
        steps.any(Op.READ, struct.pack("<QI", at, PAGE + 1)),
        steps.any(Op.READ, struct.pack("<QI", 0xFFFFFFFFFFFFFFFF, 2)),
    )
    assert outcomes(reply)[1:] == [(0, 0), (0, 0), *[(-1, EINVAL)] * 4]
    assert reply.results[2].body == b"\0\0last"


def test_a_ninth_region_is_refused(vmm, steps):
    """The regions before it stay readable, and the worker answers the next request."""
    reply = vmm.ask(
        *(steps.any(Op.MEMORY, memory(0x5000 * n)) for n in range(1, 9)),
        steps.any(Op.MEMORY, memory(0x123456, 0x7654321)),
        steps.any(Op.READ, struct.pack("<QI", 0x5000 * 8, 4)),
    )
    assert outcomes(reply)[8:] == [(-1, EINVAL), (0, 0)]
    assert vmm.ask(steps.sleep(0)).state is State.DONE
    assert vmm.ask(steps.any(Op.READ, struct.pack("<QI", 0x5000, 4))).results[0].errno == EINVAL


def test_more_than_a_reply_holds(vmm, steps):
    """A step is refused if its result does not fit; it does not succeed without bytes."""
    size = 1 << 21
    reply = vmm.ask(
        steps.any(Op.MEMORY, memory(0, size)), steps.any(Op.READ, struct.pack("<QI", 0, (1 << 20) + 1))
    )
    assert outcomes(reply)[1] == (-1, ENOMEM)


def test_the_longest_request(vmm, steps):
    """A request of BODY_MAX bytes is carried out."""
    at = 0x10000
    # The request, then a MEMORY step of 20 bytes, and a WRITE step with an address.
    length = wire.BODY_MAX - 8 - (8 + 20) - (8 + 8)
    data = (bytes(range(256)) * (length // 256)).ljust(length, b"\xee")
    steps_ = [
        steps.any(Op.MEMORY, memory(at, 1 << 20)),
        steps.any(Op.WRITE, struct.pack("<Q", at) + data),
    ]
    body = wire.pack_request(1000, steps_)
    assert len(body) == wire.BODY_MAX
    assert outcomes(vmm.ask(body=body))[1] == (0, 0)


def head(op, length, flags=0):
    return struct.pack("<HHI", op, flags, length)


OPEN = head(Op.OPEN, 5) + struct.pack("<I", 0) + b"/"
ONE, TWO = struct.pack("<II", 100, 1), struct.pack("<II", 100, 2)


@pytest.mark.parametrize(
    ("body", "detail", "results"),
    [
        (b"", 0, 0),
        (ONE[:7], 0, 0),
        (ONE, 0, 0),
        (ONE + head(Op.OPEN, 0)[:7], 0, 0),
        (ONE + head(Op.OPEN, 6) + struct.pack("<I", 0) + b"/", 0, 0),
        (ONE + head(Op.OPEN, 0xFFFFFFFF) + struct.pack("<I", 0) + b"/", 0, 0),
        (TWO + OPEN, 1, 1),
        (TWO + OPEN + head(Op.OPEN, 9) + bytes(8), 1, 1),
        (struct.pack("<II", 100, 0xFFFFFFFF) + OPEN, 1, 1),
        (TWO + OPEN + head(200, 0), 1, 2),
        (TWO + OPEN + head(0, 0), 1, 2),
        (TWO + head(0xFFFF, 0) + OPEN, 0, 1),
        (ONE + head(Op.OPEN, 3) + b"abc", 0, 1),
        (ONE + head(Op.SLEEP, 3) + b"abc", 0, 1),
        (ONE + head(Op.START, 8) + struct.pack("<II", 0, 0xAA), 0, 1),
        (ONE + head(Op.WAIT, 8) + struct.pack("<II", 8, 1), 0, 1),
        (ONE + head(Op.ENTRY, 16) + bytes(16), 0, 1),
        (ONE + head(Op.HEAD, 8) + bytes(8), 0, 1),
        (ONE + head(Op.IOCTL, 15) + bytes(15), 0, 1),
        (ONE + head(Op.READ, 11) + bytes(11), 0, 1),
        (ONE + head(Op.MEMORY, 19) + bytes(19), 0, 1),
    ],
    ids=itertools.count(),
)
def test_malformed_requests(vmm, steps, body, detail, results):
    """Detail is the index of the malformed step; the steps before it have results, and the next request runs."""
    reply = vmm.ask(body=body)
    assert (reply.state, reply.detail, len(reply.results)) == (State.BAD, detail, results)
    assert vmm.ask(steps.sleep(0)).state is State.DONE


def test_a_request_that_is_too_long(vmm, steps):
    """Its header and body are skipped, and the next request is answered."""
    length = wire.BODY_MAX + 1
    vmm.send(b"SEV1" + struct.pack("<HHII", 2, 1, 9, length) + bytes(length) + b"\x12\x34\x56\x78")
    assert vmm.ask(steps.sleep(0)).state is State.DONE


def test_a_worker_alone(start, blind, steps):
    """`vmm work` answers the same frames, sends no HELLO, and exits with 0 at the end of its input."""
    vmm = start(blind, "work")
    assert vmm.ask(steps.sleep(0)).state is State.DONE
    assert vmm.end() == 0
