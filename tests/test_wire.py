"""Frames and records, and that both halves of the wire mean the same."""

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
    """What a reader makes of bytes that come in pieces: frames, and what was none."""
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


def test_a_body_that_is_too_long_is_refused():
    with pytest.raises(BadWire, match="1048577 bytes; at most 1048576 fit"):
        wire.pack(Frame(2, 1, 1, bytes(wire.BODY_MAX + 1)))


def test_byte_by_byte():
    """Wherever the input is cut."""
    data = b"boot\r\n" + wire.pack(HI) + b"text" + wire.pack(Frame(3, 1, 8, b""))
    frames, rubbish = read_all(*(data[n : n + 1] for n in range(len(data))))
    assert frames == [HI, Frame(3, 1, 8, b"")]
    assert rubbish == b"boot\r\ntext"


def test_two_frames_at_once():
    assert read_all(HI_BYTES * 2)[0] == [HI, HI]


def test_a_frame_comes_out_with_its_last_byte():
    """And not before."""
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
def test_rubbish_around_frames(noise):
    """Before, between and after: the frames come through, and the noise can be looked at.

    A magic number in the noise can promise up to BODY_MAX bytes; what it took is looked through once they came.
    """
    frames, rubbish = read_all(noise + HI_BYTES + noise + HI_BYTES + noise, bytes(wire.BODY_MAX + 20))
    assert frames == [HI, HI]
    assert rubbish.rstrip(b"\0") == (noise * 3).rstrip(b"\0")


@pytest.mark.parametrize("place", range(len(HI_BYTES)))
def test_one_changed_byte_loses_one_frame(place):
    """Wherever it is, also in the length: a shorter one is found out by the CRC, a longer one when there is more."""
    broken = bytearray(HI_BYTES)
    broken[place] ^= 0x20
    follower = Frame(3, 1, 8, b"follower")
    filler = bytes(wire.BODY_MAX)
    frames, _ = read_all(bytes(broken) + wire.pack(follower) + filler)
    assert frames == [follower]


def test_a_long_frame_that_never_comes_holds_nothing_back_for_ever():
    """A header that promises more than follows eats what it promised, no more, and even that is looked through."""
    frames, _ = read_all(header(100) + HI_BYTES + bytes(100))
    assert frames == [HI]


# What the VMM says


def hello(version=wire.VERSION, release=b"6.12.1", machine=b"x86_64", build=b"0123abcd"):
    return struct.pack("<II65s65s", version, 3, release, machine) + build


def test_hello():
    assert wire.unpack_hello(hello()) == wire.Hello(1, 3, "6.12.1", "x86_64", "0123abcd")


def test_hello_with_hostile_names():
    """They end at the first NUL, and nothing of them can act on a terminal."""
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
        (struct.pack("<HHi", 0, 1, 0), "tells of 1 steps and holds 0 results"),
        (struct.pack("<HHi", 0, 0, 0) + result(), "tells of 0 steps and holds 1 results"),
        (struct.pack("<HHi", 0, 1, 0) + result()[:15], "15 bytes left over"),
        (struct.pack("<HHi", 0, 1, 0) + result(length=1), "a result of 1 bytes where 0 are left"),
        (
            struct.pack("<HHi", 0, 1, 0) + result(b"abc", length=0xFFFFFFFF),
            "4294967295 bytes where 3 are left",
        ),
    ],
)
def test_bad_reply(body, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_reply(body)


def test_exit():
    body = (
        struct.pack("<IIII", 12, 3, 400, 2) + bytes(range(256)) + bytes(64) + struct.pack("<2Q", 1, 1 << 63)
    )
    found = wire.unpack_exit(body)
    assert (found.microseconds, found.tail_changed, found.tail_first) == (12, 3, 400)
    assert found.head == bytes(range(256)) + bytes(64)
    assert found.registers == (1, 1 << 63)


@pytest.mark.parametrize(
    ("count", "rest", "words"),
    [
        (0, b"x", "0 registers and holds 1 bytes"),
        (2, bytes(8), "2 registers and holds 8 bytes"),
        (1, bytes(7), "1 registers and holds 7 bytes"),
        (0xFFFFFFFF, bytes(8), "4294967295 registers"),
    ],
)
def test_bad_exit(count, rest, words):
    with pytest.raises(BadWire, match=words):
        wire.unpack_exit(struct.pack("<IIII", 0, 0, 0, count) + bytes(320) + rest)


def test_short_exit():
    with pytest.raises(BadWire, match="an exit of 335 bytes; 336 is the least"):
        wire.unpack_exit(bytes(335))


def test_request():
    """A deadline, a count, and steps with their own lengths."""
    steps = [
        wire.pack_step(wire.Op.SLEEP, b"1234", required=True),
        wire.pack_step(wire.Op.OPEN, b"", required=False),
    ]
    assert wire.pack_request(1000, steps) == bytes.fromhex(
        "e8030000 020000000a00 0100 04000000 313233340d00 0000 00000000"
    )


# Both halves


def vmm_header():
    """guests/vmm/wire.h without its comments, a definition a line however it is wrapped."""
    text = (GUESTS / "vmm" / "wire.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"=\s+", "= ", text.replace("\\\n", " "))


def test_numbers_equal_the_vmm_s():
    """Every number of guests/vmm/wire.h, and none that only Python has."""
    enums = dict(re.findall(r"^\s+((?:WIRE|STATE|OP)_\w+) = (\d+),", vmm_header(), re.MULTILINE))
    for prefix, ours in (("WIRE", wire.Kind), ("STATE", wire.State), ("OP", wire.Op)):
        theirs = {
            name.removeprefix(f"{prefix}_"): int(n) for name, n in enums.items() if name.startswith(prefix)
        }
        assert theirs == {member.name: member.value for member in ours}
        assert issubclass(ours, enum.IntEnum)


def test_constants_equal_the_vmm_s():
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
