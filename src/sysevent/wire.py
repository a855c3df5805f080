"""The wire between harness and VMM: frames, and the encoding of requests and replies.

The other half is guests/vmm/wire.h; tests/test_wire.py holds the two together. What comes from a
guest is hostile: every length is checked here, and everything that does not fit is BadWire.
"""

from __future__ import annotations

import enum
import struct
import zlib

import msgspec

from sysevent.errors import BadWire
from sysevent.text import printable

VERSION = 1
MAGIC = 0x31564553
BODY_MAX = 1 << 20
RUN_HEAD = 320  # bytes of kvm_run that come back with an exit

_HEADER = struct.Struct("<IHHII")
_STEP = struct.Struct("<HHI")
_REPLY = struct.Struct("<HHi")
_RESULT = struct.Struct("<HHIii")
_EXIT = struct.Struct("<IIII")


class Kind(enum.IntEnum):
    HELLO = 1
    REQUEST = 2
    REPLY = 3
    BYE = 4
    PING = 5


class State(enum.IntEnum):
    """How a scenario ended, as the VMM tells it."""

    DONE = 0
    STOPPED = 1
    STUCK = 2
    DIED = 3
    HUNG = 4
    NO_WORKER = 5
    BAD = 6


class Op(enum.IntEnum):
    VM = 1
    MEMORY = 2
    WRITE = 3
    READ = 4
    VCPU = 5
    ENTRY = 6
    IOCTL = 7
    START = 8
    WAIT = 9
    SLEEP = 10
    REGS = 11
    HEAD = 12
    OPEN = 13
    FILE = 14
    WATCH = 15


STEP_REQUIRED = 1
START_KEEP = 0x100
EXIT_KICKED = 1
EXIT_RUNNING = 2


class Frame(msgspec.Struct, frozen=True):
    kind: int
    abi: int
    sequence: int
    body: bytes


class Hello(msgspec.Struct, frozen=True):
    """What a VMM says of itself and its kernel when it starts."""

    version: int
    abi: int
    release: str  # uname -r
    machine: str  # uname -m
    build_id: str


class Result(msgspec.Struct, frozen=True):
    """What one step gave."""

    op: int
    flags: int
    ret: int
    errno: int
    body: bytes


class Reply(msgspec.Struct, frozen=True):
    """What one scenario gave: a result for each step that ran."""

    state: State
    detail: int  # the step, the signal or the errno, as State says
    results: tuple[Result, ...]


class Exit(msgspec.Struct, frozen=True):
    """The body of a WAIT's result."""

    microseconds: int
    tail_changed: int
    tail_first: int
    head: bytes
    registers: tuple[int, ...]


def pack(frame: Frame) -> bytes:
    """The bytes of one frame, checksum included."""
    if len(frame.body) > BODY_MAX:
        raise BadWire(f"a frame of {len(frame.body)} bytes; at most {BODY_MAX} fit")
    head = _HEADER.pack(MAGIC, frame.kind, frame.abi, frame.sequence, len(frame.body))
    return head + frame.body + struct.pack("<I", zlib.crc32(head + frame.body))


class FrameReader:
    """Takes bytes as they come, gives whole frames, and sets aside everything that is no frame."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.non_frame_bytes = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that data completes."""
        self._held += data
        frames: list[Frame] = []
        while True:
            frame = self._next()
            if frame is None:
                return frames
            frames.append(frame)

    def _next(self) -> Frame | None:
        magic = struct.pack("<I", MAGIC)
        while True:
            start = self._held.find(magic)
            if start < 0:
                # The end may be the beginning of a magic number whose rest is on its way.
                keep = next((n for n in (3, 2, 1) if self._held.endswith(magic[:n])), 0)
                self._drop(len(self._held) - keep)
                return None
            self._drop(start)
            if len(self._held) < _HEADER.size:
                return None
            _, kind, abi, sequence, length = _HEADER.unpack_from(self._held)
            if length > BODY_MAX:
                self._drop(1)
                continue
            end = _HEADER.size + length
            if len(self._held) < end + 4:
                return None
            (crc,) = struct.unpack_from("<I", self._held, end)
            if crc != zlib.crc32(self._held[:end]):
                self._drop(1)
                continue
            frame = Frame(kind, abi, sequence, bytes(self._held[_HEADER.size : end]))
            del self._held[: end + 4]
            return frame

    def _drop(self, count: int) -> None:
        self.non_frame_bytes += self._held[:count]
        del self._held[:count]


def pack_step(op: Op, body: bytes, *, required: bool) -> bytes:
    """One step of a request."""
    return _STEP.pack(op, STEP_REQUIRED if required else 0, len(body)) + body


def pack_request(deadline_ms: int, steps: list[bytes]) -> bytes:
    """A request's body: what to do, and how long it may take in all."""
    return struct.pack("<II", deadline_ms, len(steps)) + b"".join(steps)


def unpack_hello(body: bytes) -> Hello:
    """The body of a HELLO; BadWire when it is another version's or none."""
    if len(body) < 138:
        raise BadWire(f"a HELLO of {len(body)} bytes, too short to be one")
    version, abi = struct.unpack_from("<II", body)
    if version != VERSION:
        raise BadWire(f"the VMM speaks version {version} of the wire, this harness {VERSION}")
    return Hello(version, abi, _text(body[8:73]), _text(body[73:138]), _text(body[138:]))


def _text(raw: bytes) -> str:
    # Names come from the guest's kernel: only what can stand on a terminal gets through.
    text = raw.split(b"\0")[0].decode("ascii", "replace")
    return printable(text)


def unpack_reply(body: bytes) -> Reply:
    """The body of a REPLY; BadWire when a length in it does not fit."""
    if len(body) < _REPLY.size:
        raise BadWire(f"a REPLY of {len(body)} bytes, too short to be one")
    number, done, detail = _REPLY.unpack_from(body)
    try:
        state = State(number)
    except ValueError:
        raise BadWire(f"a REPLY with the unknown state {number}") from None
    results, at = [], _REPLY.size
    while at < len(body):
        if len(body) - at < _RESULT.size:
            raise BadWire(f"a REPLY with {len(body) - at} bytes left over")
        op, flags, length, ret, errno = _RESULT.unpack_from(body, at)
        at += _RESULT.size
        if length > len(body) - at:
            raise BadWire(f"a result of {length} bytes where {len(body) - at} are left")
        results.append(Result(op, flags, ret, errno, body[at : at + length]))
        at += length
    if len(results) != done:
        raise BadWire(f"a REPLY that tells of {done} steps and holds {len(results)} results")
    return Reply(state, detail, tuple(results))


def unpack_exit(body: bytes) -> Exit:
    """The body of a WAIT's result; BadWire when its lengths contradict each other."""
    if len(body) < _EXIT.size + RUN_HEAD:
        raise BadWire(f"an exit of {len(body)} bytes; {_EXIT.size + RUN_HEAD} is the least")
    microseconds, changed, first, count = _EXIT.unpack_from(body)
    rest = body[_EXIT.size + RUN_HEAD :]
    if len(rest) != 8 * count:
        raise BadWire(f"an exit that tells of {count} registers and holds {len(rest)} bytes of them")
    head = body[_EXIT.size : _EXIT.size + RUN_HEAD]
    return Exit(microseconds, changed, first, head, struct.unpack(f"<{count}Q", rest))
