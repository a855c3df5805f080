"""Requests and replies; and that wire.py and guests/vmm/wire.h agree. tests/test_framing.py is about frames."""

import enum
import re
import struct

import pytest

from sysevent import wire
from sysevent.checkout import GUESTS
from sysevent.errors import BadWire
from sysevent.model import KernelLog
from sysevent.wire import Frame

# Hello, reply, exit


def hello(version=wire.VERSION, release=b"6.12.1", machine=b"x86_64", build=b"0123abcd"):
    return struct.pack("<II65s65s", version, 3, release, machine) + build


def test_hello():
    assert wire.unpack_hello(hello()) == wire.Hello(5, 3, "6.12.1", "x86_64", "0123abcd")


def test_hello_with_hostile_names():
    """Names end at the first NUL and are safe to print."""
    found = wire.unpack_hello(hello(release=b"6\x1b[31m\r\n\xff\0rest", machine=b"m" * 65))
    assert found.release == "6?[31m??\ufffd"
    assert found.machine == "m" * 65


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "a HELLO of 0 bytes"),
        (hello()[:137], "a HELLO of 137 bytes"),
        (hello(version=1), "speaks version 1 of the wire, this harness 5"),
        (hello(version=0), "speaks version 0"),
    ],
)
def test_bad_hello(body, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_hello(body)


def result(body=b"", ret=0, errno=0, op=10, flags=0, length=None):
    return struct.pack("<HHIii", op, flags, len(body) if length is None else length, ret, errno) + body


def head(state=0, done=0, detail=0, *, taint=(0, 0), errnos=(0, 0), flags=0, early=0, logged=0):
    return struct.pack("<HHiQQHHIII", state, done, detail, *taint, *errnos, flags, early, logged)


def test_reply():
    body = head(1, 2, -5) + result(b"data", ret=7, op=4) + result(ret=-1, errno=22, flags=3)
    results = (wire.Result(4, 0, 7, 0, b"data"), wire.Result(10, 3, -1, 22, b""))
    assert wire.unpack_reply(body) == wire.Reply(wire.State.STOPPED, -5, results, KernelLog(taint=(0, 0)))


def test_reply_with_a_log():
    """The log is split into what came before the scenario and while it ran; its lines are safe to print."""
    body = head(0, 1, taint=(1, 513), flags=3, early=6, logged=18) + result() + b"early\nWARN\x1b[31m\n\xff\n"
    log = wire.unpack_reply(body).log
    assert log == KernelLog(("early",), ("WARN?[31m", "\ufffd"), True, True, (1, 513), 0)
    assert log.new_taint == 512


def test_reply_of_a_machine_where_the_log_cannot_be_read():
    """The reasons are kept, and nothing is said of a taint that is not known."""
    log = wire.unpack_reply(head(errnos=(1, 2), taint=(5, 7))).log
    assert (log.log_errno, log.taint, log.new_taint) == (1, None, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "a REPLY of 0 bytes"),
        (bytes(39), "a REPLY of 39 bytes"),
        (head(7), "unknown state 7"),
        (head(0, 1), "for 1 steps that holds 0 results"),
        (head(0, 0) + result(), "for 0 steps that holds 1 results"),
        (head(0, 1) + result()[:15], "15 bytes left over"),
        (head(0, 1) + result(length=1), "a result of 1 bytes where 0 are left"),
        (head(0, 1) + result(b"abc", length=0xFFFFFFFF), "4294967295 bytes where 3 are"),
        (head(logged=1), "a log of 0 and 1 bytes"),
        (head(logged=0xFFFFFFFF), "a log of 0 and 4294967295 bytes"),
        (head(logged=wire.LOG_MAX + 1) + bytes(wire.LOG_MAX + 1), "a log of 0 and 16385 bytes"),
        (head(early=2, logged=1) + b"x", "a log of 2 and 1 bytes"),
        (head(0, 1, logged=8) + result(), "8 bytes left over"),
    ],
)
def test_bad_reply(body, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_reply(body)


RUN = bytes(range(256)) + bytes(64)


def fixed(registers=0, tail=0, changed=0, first=0):
    return struct.pack("<IIIIII", 12, changed, first, registers, tail, 6)


def test_exit():
    body = fixed(2, 5, 3, 400) + RUN + struct.pack("<2Q", 1, 1 << 63) + b"12\0\xaa5"
    assert wire.unpack_exit(body) == wire.Exit(12, 6, 3, 400, RUN, (1, 1 << 63), b"12\0\xaa5")


@pytest.mark.parametrize(
    ("fields", "rest", "words"),
    [
        (fixed(0), b"x", "0 registers and a tail of 0 bytes that holds 1 bytes"),
        (fixed(2), bytes(8), "2 registers and a tail of 0 bytes that holds 8 bytes"),
        (fixed(1), bytes(7), "1 registers and a tail of 0 bytes that holds 7 bytes"),
        (fixed(0xFFFFFFFF), bytes(8), "4294967295 registers"),
        (fixed(65), bytes(65 * 8), "an exit with 65 registers; at most 64 fit"),
        (fixed(0, 0xFFFFFFFF), bytes(8), "a tail of 4294967295 bytes"),
        (fixed(0, 4, 5, 320), bytes(4), "a tail of 4 bytes at 320, of which 5 changed"),
        (fixed(0, 4, 4, 319), bytes(4), "a tail of 4 bytes at 319"),
        (fixed(0, 4, 4, 4093), bytes(4), "a tail of 4 bytes at 4093"),
        (fixed(0, 0, 1, 400), b"", "a tail of 0 bytes at 400, of which 1 changed"),
    ],
)
def test_bad_exit(fields, rest, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_exit(fields + RUN + rest)


def test_short_exit():
    with pytest.raises(BadWire, match="an exit of 343 bytes; the shortest has 344"):
        wire.unpack_exit(bytes(343))


def test_request():
    """Deadline, number of steps, and steps with their lengths."""
    steps = [
        wire.pack_step(wire.Op.SLEEP, b"1234", required=True),
        wire.pack_step(wire.Op.OPEN, b"", required=False),
    ]
    assert wire.pack_request(1000, steps) == bytes.fromhex(
        "e8030000 020000000a00 0100 04000000 313233340d00 0000 00000000"
    )


# wire.py and wire.h


def vmm_header():
    """guests/vmm/wire.h without comments, each definition on one line."""
    text = (GUESTS / "vmm" / "wire.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"=\s+", "= ", text.replace("\\\n", " "))


def test_enums_agree():
    """Both sides have the same members with the same numbers."""
    for prefix, ours in (("WIRE", wire.Kind), ("STATE", wire.State), ("OP", wire.Op)):
        theirs = re.findall(rf"^\s+{prefix}_(\w+) = (\d+),", vmm_header(), re.MULTILINE)
        assert {name: int(number) for name, number in theirs} == {one.name: one.value for one in ours}
        assert issubclass(ours, enum.IntEnum)


def test_constants_agree():
    """Sizes, the magic number and flags."""
    pattern = r"^#define (\w+)\s+\(?(0x[0-9a-f]+u?|\d+u?(?: << \d+)?)\)?"
    defines = dict(re.findall(pattern, vmm_header(), re.MULTILINE))
    numbers = {}
    for name, value in defines.items():
        left, _, shift = value.replace("u", "").partition(" << ")
        numbers[name] = int(left, 0) << int(shift or 0)
    empty = wire.pack(Frame(1, 1, 1, b""))
    assert numbers["WIRE_HEADER"] + numbers["WIRE_CRC"] == len(empty) == wire.FRAME_OVERHEAD
    (no_key,) = re.findall(r'^#define WIRE_NO_KEY "(\w+)"', vmm_header(), re.MULTILINE)
    assert no_key.encode().ljust(numbers["WIRE_KEY"], b"\0") == wire.NO_KEY == empty[: len(wire.NO_KEY)]
    assert numbers["WIRE_VERSION"] == wire.VERSION
    assert numbers["WIRE_BODY_MAX"] == wire.BODY_MAX
    assert numbers["RUN_HEAD"] == wire.RUN_HEAD
    assert numbers["STEP_REQUIRED"] == wire.STEP_REQUIRED
    assert numbers["START_KEEP"] == wire.START_KEEP
    assert numbers["START_SIGNALLED"] == wire.START_SIGNALLED
    assert (numbers["EXIT_KICKED"], numbers["EXIT_RUNNING"]) == (wire.EXIT_KICKED, wire.EXIT_RUNNING)
    assert (numbers["LOG_MAX"], numbers["LOG_LOST"], numbers["LOG_CUT"]) == (
        wire.LOG_MAX,
        wire.LOG_LOST,
        wire.LOG_CUT,
    )
    assert numbers["REPLY_HEADER"] == len(head())
    assert numbers["EXIT_FIXED"] == len(fixed())
    for name in (
        "INPUT_MAX",
        "OUTPUT_MAX",
        "MERGED",
        "OPEN",
        "LEAVE",
        "ENDED",
        "KILLED",
        "STUCK",
        "CUT",
        "FOUND",
    ):
        assert numbers[f"PROGRAM_{name}"] == getattr(wire, f"PROGRAM_{name}")
    assert numbers["WIRE_SUPERVISOR"] == wire.SUPERVISOR
    registers = re.search(r"ARCH_REGISTERS_MAX (\d+)", (GUESTS / "vmm" / "arch.h").read_text())
    assert int(registers[1]) == wire.REGISTERS_MAX


def test_a_ping_has_the_key():
    """Its own key is that of a VMM that knows no other one."""
    key = wire.new_key()
    (frame,) = wire.FrameReader().feed(wire.ping(key))
    assert frame == Frame(wire.Kind.PING, 0, wire.PING_SEQUENCE, key)
