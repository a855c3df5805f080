"""Frames, requests and replies; and that wire.py and guests/vmm/wire.h agree."""

import enum
import re
import struct
import zlib

import pytest

from sysevent import wire
from sysevent.checkout import GUESTS
from sysevent.errors import BadWire
from sysevent.wire import Frame, FrameReader

HI = Frame(wire.Kind.REQUEST, 4, 7, b"hi")
HI_BYTES = bytes.fromhex("53455631 0200 0400 07000000 02000000 6869 6511f98a")
MAGIC = b"SEV1"


def read_all(*pieces):
    """Feed a reader with these pieces; returns the frames, and the bytes that belong to none."""
    reader = FrameReader()
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    return frames, bytes(reader.non_frame_bytes)


def header(length, kind=3):
    return MAGIC + struct.pack("<HHII", kind, 1, 1, length)


def test_one_frame_is_these_bytes():
    """Magic, kind, ABI, sequence, length, body and CRC, little-endian."""
    assert wire.pack(HI).hex(" ") == HI_BYTES.hex(" ")
    assert zlib.crc32(HI_BYTES[:-4]) == int.from_bytes(HI_BYTES[-4:], "little")


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 9, MAGIC * 3, bytes(wire.BODY_MAX)], ids=len)
def test_frame_round_trip(body):
    frame = Frame(3, 0xFFFF, 0xFFFFFFFF, body)
    assert read_all(wire.pack(frame)) == ([frame], b"")


def test_pack_refuses_a_long_body():
    with pytest.raises(BadWire, match="1048577 bytes; at most 1048576 fit"):
        wire.pack(Frame(2, 1, 1, bytes(wire.BODY_MAX + 1)))


def test_byte_by_byte():
    """Frames are found wherever the input is cut."""
    data = b"boot\r\n" + wire.pack(HI) + b"text" + wire.pack(Frame(3, 1, 8, b""))
    frames, other = read_all(*(data[n : n + 1] for n in range(len(data))))
    assert frames == [HI, Frame(3, 1, 8, b"")]
    assert other == b"boot\r\ntext"


def test_two_frames_at_once():
    assert read_all(HI_BYTES * 2)[0] == [HI, HI]


def test_a_frame_is_complete_with_its_last_byte():
    reader = FrameReader()
    assert reader.feed(HI_BYTES[:-1]) == []
    assert reader.feed(HI_BYTES[-1:]) == [HI]


@pytest.mark.parametrize(
    "noise",
    [
        b"[    0.000000] Linux version 6.12\r\n",
        b"\xff\x00\x80" * 50,
        MAGIC[:3],
        MAGIC[:1] * 5,
        MAGIC + b"-ish text",
        MAGIC * 4,
        header(wire.BODY_MAX + 1),
        header(0xFFFFFFFF),
    ],
    ids=["console", "noise", "half_magic", "beginnings", "magic_in_text", "magics", "too_long", "longest"],
)
def test_noise_around_frames(noise):
    """Before, between and after frames: all frames are found, and the noise is set aside.

    A magic number in the noise can announce up to BODY_MAX bytes, in which frames are found when they have arrived.
    """
    frames, other = read_all(noise + HI_BYTES + noise + HI_BYTES + noise, bytes(wire.BODY_MAX + 20))
    assert frames == [HI, HI]
    assert other.rstrip(b"\0") == (noise * 3).rstrip(b"\0")


@pytest.mark.parametrize("place", range(len(HI_BYTES)))
def test_one_changed_byte_loses_one_frame(place):
    """Also in the length: the CRC shows a shorter one, and a longer one when that many bytes have arrived."""
    broken = bytearray(HI_BYTES)
    broken[place] ^= 0x20
    follower = Frame(3, 1, 8, b"follower")
    filler = bytes(wire.BODY_MAX)
    frames, _ = read_all(bytes(broken) + wire.pack(follower) + filler)
    assert frames == [follower]


def test_a_header_without_its_frame():
    """A frame within the length that the header announces is found once that many bytes have arrived."""
    frames, _ = read_all(header(100) + HI_BYTES + bytes(100))
    assert frames == [HI]


# Hello, reply, exit


def hello(version=wire.VERSION, release=b"6.12.1", machine=b"x86_64", build=b"0123abcd"):
    return struct.pack("<II65s65s", version, 3, release, machine) + build


def test_hello():
    assert wire.unpack_hello(hello()) == wire.Hello(1, 3, "6.12.1", "x86_64", "0123abcd")


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
        (hello(version=2), "speaks version 2 of the wire, this harness 1"),
        (hello(version=0), "speaks version 0"),
    ],
)
def test_bad_hello(body, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_hello(body)


def result(body=b"", ret=0, errno=0, op=10, flags=0, length=None):
    return struct.pack("<HHIii", op, flags, len(body) if length is None else length, ret, errno) + body


def test_reply():
    body = struct.pack("<HHi", 1, 2, -5) + result(b"data", ret=7, op=4) + result(ret=-1, errno=22, flags=3)
    assert wire.unpack_reply(body) == wire.Reply(
        wire.State.STOPPED, -5, (wire.Result(4, 0, 7, 0, b"data"), wire.Result(10, 3, -1, 22, b""))
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "a REPLY of 0 bytes"),
        (bytes(7), "a REPLY of 7 bytes"),
        (struct.pack("<HHi", 7, 0, 0), "unknown state 7"),
        (struct.pack("<HHi", 0, 1, 0), "for 1 steps that holds 0 results"),
        (struct.pack("<HHi", 0, 0, 0) + result(), "for 0 steps that holds 1 results"),
        (struct.pack("<HHi", 0, 1, 0) + result()[:15], "15 bytes left over"),
        (struct.pack("<HHi", 0, 1, 0) + result(length=1), "a result of 1 bytes where 0 are left"),
        (struct.pack("<HHi", 0, 1, 0) + result(b"abc", length=0xFFFFFFFF), "4294967295 bytes where 3 are"),
    ],
)
def test_bad_reply(body, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_reply(body)


def test_exit():
    head = bytes(range(256)) + bytes(64)
    found = wire.unpack_exit(struct.pack("<IIII", 12, 3, 400, 2) + head + struct.pack("<2Q", 1, 1 << 63))
    assert (found.microseconds, found.tail_changed, found.tail_first) == (12, 3, 400)
    assert found.head == head
    assert found.registers == (1, 1 << 63)


@pytest.mark.parametrize(
    ("count", "rest", "words"),
    [
        (0, b"x", "0 registers that holds 1 bytes"),
        (2, bytes(8), "2 registers that holds 8 bytes"),
        (1, bytes(7), "1 registers that holds 7 bytes"),
        (0xFFFFFFFF, bytes(8), "4294967295 registers"),
    ],
)
def test_bad_exit(count, rest, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_exit(struct.pack("<IIII", 0, 0, 0, count) + bytes(320) + rest)


def test_short_exit():
    with pytest.raises(BadWire, match="an exit of 335 bytes; the shortest has 336"):
        wire.unpack_exit(bytes(335))


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
    assert numbers["WIRE_HEADER"] + numbers["WIRE_CRC"] == len(empty)
    assert struct.pack("<I", numbers["WIRE_MAGIC"]) == MAGIC == empty[:4]
    assert numbers["WIRE_VERSION"] == wire.VERSION
    assert numbers["WIRE_BODY_MAX"] == wire.BODY_MAX
    assert numbers["RUN_HEAD"] == wire.RUN_HEAD
    assert numbers["STEP_REQUIRED"] == wire.STEP_REQUIRED
    assert numbers["START_KEEP"] == wire.START_KEEP
    assert (numbers["EXIT_KICKED"], numbers["EXIT_RUNNING"]) == (wire.EXIT_KICKED, wire.EXIT_RUNNING)
    assert len(bytes(numbers["EXIT_FIXED"])) + wire.RUN_HEAD == 336
