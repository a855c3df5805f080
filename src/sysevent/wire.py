"""The wire between the harness and the VMM in a guest: frames, and the encoding of requests and replies.

    frame   = magic u32 | kind u16 | abi u16 | sequence u32 | length u32 | body | CRC-32 of all before
    request = deadline in milliseconds u32 | number of steps u32 | step...
    step    = op u16 | flags u16 | length u32 | body
    reply   = state u16 | steps done u16 | detail i32 | result...
    result  = op u16 | flags u16 | length u32 | ret i32 | errno i32 | body

All numbers are little-endian. The other half is guests/vmm/wire.h; tests/test_wire.py compares the two. Bytes from a
guest are hostile: every length is checked here, and what does not fit raises BadWire.
"""

from __future__ import annotations

import enum
import struct
import zlib

import msgspec

from sysevent.errors import BadWire
from sysevent.text import printable

VERSION = 1
# "SEV1" in the order of the bytes.
MAGIC = 0x31564553
# Bytes of the longest body.
BODY_MAX = 1 << 20
# Bytes from the beginning of kvm_run that an exit contains.
RUN_HEAD = 320

_HEADER = struct.Struct("<IHHII")
_CRC = struct.Struct("<I")
_REQUEST = struct.Struct("<II")
_STEP = struct.Struct("<HHI")
_REPLY = struct.Struct("<HHi")
_RESULT = struct.Struct("<HHIii")
_EXIT = struct.Struct("<IIII")
# Version, ABI, and uname's release and machine of 65 bytes each (struct new_utsname); the build ID follows.
_HELLO = struct.Struct("<II65s65s")


class Kind(enum.IntEnum):
    """What a frame is."""

    # To us: the VMM has started. Sequence 0, or that of the PING that it answers.
    HELLO = 1
    # To the guest: one scenario.
    REQUEST = 2
    # To us: the results of the request with the same sequence.
    REPLY = 3
    # To the guest: no more requests follow, power off.
    BYE = 4
    # To the guest: send HELLO again, with this sequence. Asked of a guest that was restored from a snapshot.
    PING = 5


class State(enum.IntEnum):
    """How a scenario ended."""

    # Every step ran; detail is 0.
    DONE = 0
    # A required step failed; detail is its index, and the later steps did not run.
    STOPPED = 1
    # KVM_RUN did not return after a signal; detail is the index of the step that waited for it.
    STUCK = 2
    # The worker that ran the scenario died; detail is the signal, or its exit code negated.
    DIED = 3
    # The worker did not answer before its deadline and was killed; detail as for DIED.
    HUNG = 4
    # There is no worker of the requested ABI, or it could not be started; detail is the errno or 0.
    NO_WORKER = 5
    # The request is malformed; detail is the index of the step.
    BAD = 6


class Op(enum.IntEnum):
    """What a step does. guests/vmm/wire.h has the layout of each body and of its result."""

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
    HEAD = 12
    OPEN = 13
    FILE = 14
    WATCH = 15


# Flag of a step: an error ends the scenario.
STEP_REQUIRED = 1
# In the place of START's poison byte: leave kvm_run as the last exit left it.
START_KEEP = 0x100
# Flags of a WAIT's result: a signal of the watchdog ended KVM_RUN; KVM_RUN went on after the signal.
EXIT_KICKED = 1
EXIT_RUNNING = 2


class Frame(msgspec.Struct, frozen=True):
    """One frame without its magic number, length and checksum."""

    # A Kind; other numbers are possible in a frame from a guest.
    kind: int
    # Number of the VMM's ABI: arches.Abi.number.
    abi: int
    # Number of the request, which its reply repeats.
    sequence: int
    # At most BODY_MAX bytes.
    body: bytes


class Hello(msgspec.Struct, frozen=True):
    """What a VMM reports about itself and its kernel when it starts. Its strings are printable."""

    # Version of the wire.
    version: int
    # Number of the supervisor's own ABI.
    abi: int
    # uname -r
    release: str
    # uname -m
    machine: str
    # Build ID of the VMM.
    build_id: str


class Result(msgspec.Struct, frozen=True):
    """The result of one step."""

    # An Op; other numbers are possible.
    op: int
    # Of a WAIT: EXIT_KICKED, EXIT_RUNNING.
    flags: int
    # What the system call returned; -1 for an error.
    ret: int
    # The system call's errno; 0 without an error.
    errno: int
    body: bytes


class Reply(msgspec.Struct, frozen=True):
    """The results of one scenario, one for each step that ran."""

    state: State
    # An index, signal, exit code or errno: see State.
    detail: int
    results: tuple[Result, ...]


class Exit(msgspec.Struct, frozen=True):
    """The body of a WAIT's result: one return of KVM_RUN."""

    # Time that KVM_RUN took.
    microseconds: int
    # Number of bytes of kvm_run's page after its first RUN_HEAD that lost their poison.
    tail_changed: int
    # Offset in kvm_run of the first of them; 0 if there is none.
    tail_first: int
    # The first RUN_HEAD bytes of kvm_run.
    head: bytes
    # In the order of abi/registers.py.
    registers: tuple[int, ...]


def pack(frame: Frame) -> bytes:
    """The bytes of one frame, with its checksum; BadWire if the body is longer than BODY_MAX."""
    if len(frame.body) > BODY_MAX:
        raise BadWire(f"a frame of {len(frame.body)} bytes; at most {BODY_MAX} fit")
    head = _HEADER.pack(MAGIC, frame.kind, frame.abi, frame.sequence, len(frame.body))
    return head + frame.body + _CRC.pack(zlib.crc32(head + frame.body))


class FrameReader:
    """Finds frames in a stream of bytes, and sets aside the bytes that belong to none."""

    def __init__(self) -> None:
        # Text of a console that carries frames as well, noise, damaged frames. The caller empties it.
        self.non_frame_bytes = bytearray()
        self._unread = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Append data to the stream; returns the frames that it completes."""
        self._unread += data
        frames: list[Frame] = []
        while True:
            frame = self._next()
            if frame is None:
                return frames
            frames.append(frame)

    def _next(self) -> Frame | None:
        """The next whole frame; None if more bytes are needed."""
        magic = struct.pack("<I", MAGIC)
        while True:
            start = self._unread.find(magic)
            if start < 0:
                # The end may be the beginning of a magic number whose rest has not arrived.
                kept = next((n for n in (3, 2, 1) if self._unread.endswith(magic[:n])), 0)
                self._set_aside(len(self._unread) - kept)
                return None
            self._set_aside(start)
            if len(self._unread) < _HEADER.size:
                return None
            _, kind, abi, sequence, length = _HEADER.unpack_from(self._unread)
            if length > BODY_MAX:
                self._set_aside(1)
                continue
            end = _HEADER.size + length
            if len(self._unread) < end + _CRC.size:
                return None
            (crc,) = _CRC.unpack_from(self._unread, end)
            if crc != zlib.crc32(self._unread[:end]):
                # Only its first byte: a frame may begin within what a damaged length covers.
                self._set_aside(1)
                continue
            frame = Frame(kind, abi, sequence, bytes(self._unread[_HEADER.size : end]))
            del self._unread[: end + _CRC.size]
            return frame

    def _set_aside(self, count: int) -> None:
        self.non_frame_bytes += self._unread[:count]
        del self._unread[:count]


def pack_step(op: Op, body: bytes, *, required: bool) -> bytes:
    """One step of a request. With required, an error of this step ends the scenario."""
    return _STEP.pack(op, STEP_REQUIRED if required else 0, len(body)) + body


def pack_request(deadline_ms: int, steps: list[bytes]) -> bytes:
    """The body of a REQUEST: the time that all steps together may take, in milliseconds, and the packed steps."""
    return _REQUEST.pack(deadline_ms, len(steps)) + b"".join(steps)


def unpack_hello(body: bytes) -> Hello:
    """The body of a HELLO; BadWire if it is too short or of another version of the wire."""
    if len(body) < _HELLO.size:
        raise BadWire(f"a HELLO of {len(body)} bytes, which is too short")
    version, abi, release, machine = _HELLO.unpack_from(body)
    if version != VERSION:
        raise BadWire(f"the VMM speaks version {version} of the wire, this harness {VERSION}")
    return Hello(version, abi, _string(release), _string(machine), _string(body[_HELLO.size :]))


def _string(raw: bytes) -> str:
    """A string up to its first NUL, made safe to print: it comes from the guest's kernel."""
    return printable(raw.split(b"\0")[0].decode("ascii", "replace"))


def unpack_reply(body: bytes) -> Reply:
    """The body of a REPLY; BadWire if a length or a count in it does not fit."""
    if len(body) < _REPLY.size:
        raise BadWire(f"a REPLY of {len(body)} bytes, which is too short")
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
        raise BadWire(f"a REPLY for {done} steps that holds {len(results)} results")
    return Reply(state, detail, tuple(results))


def unpack_exit(body: bytes) -> Exit:
    """The body of a WAIT's result; BadWire if its length does not fit its number of registers."""
    if len(body) < _EXIT.size + RUN_HEAD:
        raise BadWire(f"an exit of {len(body)} bytes; the shortest has {_EXIT.size + RUN_HEAD}")
    microseconds, changed, first, count = _EXIT.unpack_from(body)
    registers = body[_EXIT.size + RUN_HEAD :]
    if len(registers) != 8 * count:
        raise BadWire(f"an exit with {count} registers that holds {len(registers)} bytes of them")
    head = body[_EXIT.size : _EXIT.size + RUN_HEAD]
    return Exit(microseconds, changed, first, head, struct.unpack(f"<{count}Q", registers))
