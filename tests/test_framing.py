"""Frames: any division of the input gives the same ones, noise hides none, and the work is linear."""

import itertools
import random
import struct
import zlib

import pytest

from sysevent.errors import BadWire
from sysevent.framing import BODY_MAX, FRAME_OVERHEAD, NO_KEY, Frame, FrameReader, new_key, pack

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
HI = Frame(2, 4, 7, b"hi")
HI_BYTES = bytes.fromhex(
    "00112233445566778899aabbccddeeff 0200 0400 07000000 02000000 81ab9475 6869 f0998828"
)
FOLLOWER = Frame(3, 1, 8, b"follower")


def read_all(*pieces, key=KEY):
    """Feed a reader with these pieces; returns the frames, and the bytes that belong to none."""
    reader = FrameReader(key)
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    reader.give_up()
    return frames, bytes(reader.non_frame_bytes)


def header(length, kind=3, key=KEY, sequence=1):
    """A valid header that announces a body of that length."""
    fields = key + struct.pack("<HHII", kind, 1, sequence, length)
    return fields + struct.pack("<I", zlib.crc32(fields))


def test_one_frame_is_these_bytes():
    """Key, kind, ABI, sequence, length, CRC, body and CRC, little-endian."""
    assert pack(HI, KEY).hex(" ") == HI_BYTES.hex(" ")


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 9, KEY[:15] * 3, bytes(BODY_MAX)], ids=len)
def test_frame_round_trip(body):
    frame = Frame(3, 0xFFFF, 0xFFFFFFFF, body)
    assert read_all(pack(frame, KEY)) == ([frame], b"")


@pytest.mark.parametrize(
    ("body", "words"),
    [(bytes(BODY_MAX + 1), "1048577 bytes; at most 1048576 fit"), (b"x" + KEY, "what frames begin with")],
    ids=["long", "key"],
)
def test_pack_refuses_a_body(body, words):
    with pytest.raises(BadWire, match=words):
        pack(Frame(2, 1, 1, body), KEY)


def test_another_key():
    """Frames of another key are noise, also those without one."""
    forged = pack(HI, new_key()) + pack(HI, NO_KEY)
    assert read_all(forged + HI_BYTES) == ([HI], forged)


def test_a_key_that_arrives_later():
    """The key of a reader can be changed when the VMM has it."""
    reader = FrameReader()
    assert reader.feed(pack(HI)) == [HI]
    reader.key = KEY
    assert reader.feed(pack(HI) + HI_BYTES) == [HI]


def test_a_frame_is_complete_with_its_last_byte():
    reader = FrameReader(KEY)
    assert reader.feed(HI_BYTES[:-1]) == []
    assert reader.feed(HI_BYTES[-1:]) == [HI]


@pytest.mark.parametrize("place", range(len(HI_BYTES)))
def test_one_changed_byte_loses_one_frame(place):
    """Also in the length, which has a checksum of its own: the next frame is found at once."""
    broken = bytearray(HI_BYTES)
    broken[place] ^= 0x20
    assert read_all(bytes(broken) + pack(FOLLOWER, KEY))[0] == [FOLLOWER]


@pytest.mark.parametrize("cut", range(1, len(HI_BYTES)))
@pytest.mark.parametrize("lost", [1, 3, 20])
def test_lost_bytes_lose_one_frame(cut, lost):
    """A serial line that loses bytes of one frame loses no other one."""
    data = HI_BYTES[:cut] + HI_BYTES[cut + lost :]
    assert read_all(data + pack(FOLLOWER, KEY) + HI_BYTES)[0] == [FOLLOWER, HI]


@pytest.mark.parametrize("length", [0, 1, 100, 5000, BODY_MAX])
def test_a_header_without_its_body(length):
    """However much it announces, the frames behind it are read as soon as they arrive."""
    reader = FrameReader(KEY)
    assert reader.feed(header(length)) == []
    assert reader.feed(HI_BYTES) == [HI]


@pytest.mark.parametrize("length", [BODY_MAX + 1, 0xFFFFFFFF])
def test_a_header_with_an_impossible_length(length):
    """It is noise, and nothing is kept for it."""
    reader = FrameReader(KEY)
    reader.feed(header(length) + b"x" * 1000)
    assert reader.pending == 0


def test_text_is_set_aside_at_once():
    """Except for what may be the beginning of a key: a kernel's last words must not wait for more."""
    reader = FrameReader(KEY)
    reader.feed(b"Kernel panic" + KEY[:3])
    assert bytes(reader.non_frame_bytes) == b"Kernel panic"
    assert (reader.pending, reader.skipped) == (3, 12)


def test_the_beginning_of_a_frame_is_given_up_at_the_end():
    reader = FrameReader(KEY)
    reader.feed(header(1000) + b"Kernel panic")
    assert reader.non_frame_bytes == b""
    reader.give_up()
    assert bytes(reader.non_frame_bytes).endswith(b"Kernel panic")


# For any input. The number of the test is the seed of its input.

ANY = pytest.mark.parametrize("seed", range(100))


def some_noise(source):
    """What looks like frames, as far as a sender without the key, or a line that loses bytes, can make it."""
    return source.choice(
        (
            lambda: source.randbytes(source.randrange(60)),
            lambda: KEY,
            lambda: KEY[: source.randrange(1, 16)],
            lambda: header(source.randrange(3000)),
            lambda: header(source.randrange(200)) + source.randbytes(source.randrange(200)),
            lambda: HI_BYTES[: source.randrange(len(HI_BYTES))],
            lambda: HI_BYTES[source.randrange(1, len(HI_BYTES)) :],
            lambda: pack(HI, NO_KEY),
        )
    )()


def some_frame(source):
    body = source.randbytes(source.choice((0, 1, 40, 3000)))
    return Frame(source.randrange(1 << 16), source.randrange(1 << 16), source.randrange(1 << 32), body)


def some_input(source):
    """Frames and noise, in any order."""
    parts = [source.choice((some_noise, some_frame))(source) for _ in range(source.randrange(12))]
    return b"".join(pack(part, KEY) if isinstance(part, Frame) else part for part in parts)


@ANY
def test_any_division_gives_the_same_frames(seed):
    """However the input is divided, the frames and the noise are the same, and no byte is lost."""
    source = random.Random(seed)
    data = some_input(source)
    whole = read_all(data)
    places = [0, *sorted(source.randrange(len(data) + 1) for _ in range(20)), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    assert read_all(*pieces) == whole
    assert read_all(*(data[n : n + 1] for n in range(len(data)))) == whole
    assert len(whole[1]) + sum(len(pack(frame, KEY)) for frame in whole[0]) == len(data)


@ANY
def test_noise_loses_no_whole_frame(seed):
    """Whole frames are found after any noise."""
    source = random.Random(seed)
    frames = [some_frame(source) for _ in range(3)]
    data = b"".join(some_noise(source) + some_noise(source) + pack(frame, KEY) for frame in frames)
    found = read_all(data)[0]
    # Two pieces of noise can happen to be a frame.
    assert [frame for frame in found if frame in frames] == frames


class Counted:
    """A checksum that counts the bytes it was given."""

    def __init__(self):
        self.bytes = 0

    def __call__(self, data):
        self.bytes += len(data)
        return zlib.crc32(data)


@ANY
def test_the_work_is_linear(seed):
    """Each byte is part of one header and one frame that are checked, and no more is kept than one frame."""
    source = random.Random(seed)
    data, size = some_input(source) * source.randrange(1, 60), source.randrange(1, 5000)
    checksum = Counted()
    reader = FrameReader(KEY, checksum)
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
        assert reader.pending <= BODY_MAX + FRAME_OVERHEAD
    assert checksum.bytes <= 4 * len(data)


@pytest.mark.parametrize("length", [0, 100, BODY_MAX])
@pytest.mark.parametrize("key", [KEY, NO_KEY], ids=["own", "other"])
def test_headers_without_end(key, length):
    """256 KiB of headers, each of which announces as much: each is checked once, and given up at the next one."""
    checksum = Counted()
    reader = FrameReader(KEY, checksum)
    data = b"".join(header(length, key=key, sequence=n) for n in range((1 << 18) // 32))
    assert reader.feed(data) == []
    assert checksum.bytes <= 4 * len(data)
    assert reader.pending <= 100 + FRAME_OVERHEAD
    assert reader.feed(HI_BYTES) == [HI]
