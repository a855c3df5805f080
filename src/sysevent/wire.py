"""The wire between the harness and the VMM in a guest: requests and replies. Their frames are in framing.py.

    request = deadline in milliseconds u32 | number of steps u32 | step...
    step    = op u16 | flags u16 | length u32 | body
    reply   = state u16 | steps done u16 | detail i32 | kernel | result... | log
    kernel  = taint before u64 | taint after u64 | errno of the log u16 | errno of the taint u16 | flags u32
            | bytes of the log from before the scenario u32 | bytes of the log u32
    result  = op u16 | flags u16 | length u32 | ret i32 | errno i32 | body

All numbers are little-endian. The other half is guests/vmm/wire.h; tests/test_wire.py compares the two. Bytes from a
guest are hostile: every length is checked here, and what does not fit raises BadWire.
"""

from __future__ import annotations

import enum
import struct

import msgspec

from sysevent.errors import BadWire
from sysevent.framing import BODY_MAX as BODY_MAX
from sysevent.framing import FRAME_OVERHEAD as FRAME_OVERHEAD
from sysevent.framing import NO_KEY as NO_KEY
from sysevent.framing import Frame as Frame
from sysevent.framing import FrameReader as FrameReader
from sysevent.framing import new_key as new_key
from sysevent.framing import pack as pack
from sysevent.model import KernelLog
from sysevent.text import printable

VERSION = 5
# The ABI of requests that the supervisor carries out itself: their only step is PROGRAM.
SUPERVISOR = 0
# Bytes from the beginning of kvm_run that an exit contains.
RUN_HEAD = 320
# Bytes of kvm_run behind them that an exit contains at most: those of its first page.
RUN_TAIL = 4096 - RUN_HEAD
# Registers of a vCPU in one exit.
REGISTERS_MAX = 64
# The sequence number of a PING and of the HELLO that answers it, which no request has.
PING_SEQUENCE = 0xFFFF_FFFF
# Bytes of the kernel's log in one reply.
LOG_MAX = 16384

_REQUEST = struct.Struct("<II")
_STEP = struct.Struct("<HHI")
_REPLY = struct.Struct("<HHiQQHHIII")
_RESULT = struct.Struct("<HHIii")
_EXIT = struct.Struct("<IIIIII")
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
    # To the guest: the key of all further frames, as the body of a frame with NO_KEY. It is answered by a HELLO.
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
    DEVICE = 16
    PROGRAM = 17
    COVER = 18


# Flags of the kernel's log in a reply: the kernel overwrote messages before they were read; some did not fit.
LOG_LOST = 1
LOG_CUT = 2
# Flag of a step: an error ends the scenario.
STEP_REQUIRED = 1
# In the place of START's poison byte: leave kvm_run as the last exit left it.
START_KEEP = 0x100
# Added to START's poison: a signal is pending when KVM_RUN begins.
START_SIGNALLED = 0x200
# Flags of a WAIT's result: a signal of the watchdog ended KVM_RUN; KVM_RUN went on after the signal.
EXIT_KICKED = 1
EXIT_RUNNING = 2
# Bytes of input of a PROGRAM, and of each stream of its output.
PROGRAM_INPUT_MAX = 16384
PROGRAM_OUTPUT_MAX = 131072
# Addresses in the result of a COVER that ends a recording.
COVER_MAX = 8192
# Flags of a PROGRAM: standard error goes where standard output goes; standard input stays open; the program goes on
# when its time is over.
PROGRAM_MERGED = 1
PROGRAM_OPEN = 2
PROGRAM_LEAVE = 4
# Flags of its result: the program has ended; it was killed; it did not end although it was; some output was dropped;
# its output had the text.
PROGRAM_ENDED = 1
PROGRAM_KILLED = 2
PROGRAM_STUCK = 4
PROGRAM_CUT = 8
PROGRAM_FOUND = 16


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
    # What the kernel logged meanwhile.
    log: KernelLog = KernelLog()


class Exit(msgspec.Struct, frozen=True):
    """The body of a WAIT's result: one return of KVM_RUN."""

    # Time that KVM_RUN took.
    microseconds: int
    # CPU time that it used.
    cpu_microseconds: int
    # Number of bytes of kvm_run's page after its first RUN_HEAD that lost their poison.
    tail_changed: int
    # Offset in kvm_run of the first of them; 0 if there is none.
    tail_first: int
    # The first RUN_HEAD bytes of kvm_run.
    head: bytes
    # In the order of abi/registers.py.
    registers: tuple[int, ...]
    # kvm_run from tail_first to the last of the changed bytes.
    tail: bytes = b""


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


def ping(key: bytes) -> bytes:
    """The frame that gives a VMM the key of all further frames."""
    return pack(Frame(Kind.PING, 0, PING_SEQUENCE, key))


def unpack_reply(body: bytes) -> Reply:
    """The body of a REPLY; BadWire if a length or a count in it does not fit."""
    if len(body) < _REPLY.size:
        raise BadWire(f"a REPLY of {len(body)} bytes, which is too short")
    number, done, detail, *kernel, early, logged = _REPLY.unpack_from(body)
    try:
        state = State(number)
    except ValueError:
        raise BadWire(f"a REPLY with the unknown state {number}") from None
    end = len(body) - logged
    if logged > LOG_MAX or end < _REPLY.size or early > logged:
        raise BadWire(f"a REPLY of {len(body)} bytes with a log of {early} and {logged} bytes")
    results, at = [], _REPLY.size
    while at < end:
        if end - at < _RESULT.size:
            raise BadWire(f"a REPLY with {end - at} bytes left over")
        op, flags, length, ret, errno = _RESULT.unpack_from(body, at)
        at += _RESULT.size
        if length > end - at:
            raise BadWire(f"a result of {length} bytes where {end - at} are left")
        results.append(Result(op, flags, ret, errno, body[at : at + length]))
        at += length
    if len(results) != done:
        raise BadWire(f"a REPLY for {done} steps that holds {len(results)} results")
    return Reply(state, detail, tuple(results), _log(kernel, body[end : end + early], body[end + early :]))


def _log(kernel: list[int], before: bytes, during: bytes) -> KernelLog:
    taint_before, taint_after, log_errno, taint_errno, flags = kernel
    return KernelLog(
        before=_lines(before),
        lines=_lines(during),
        lost=bool(flags & LOG_LOST),
        cut=bool(flags & LOG_CUT),
        taint=None if taint_errno else (taint_before, taint_after),
        log_errno=log_errno,
    )


def _lines(raw: bytes) -> tuple[str, ...]:
    """Lines of the kernel's log, made safe to print."""
    return tuple(printable(line) for line in raw.decode("ascii", "replace").split("\n") if line)


def unpack_exit(body: bytes) -> Exit:
    """The body of a WAIT's result; BadWire if its length does not fit its number of registers."""
    fixed = _EXIT.size + RUN_HEAD
    if len(body) < fixed:
        raise BadWire(f"an exit of {len(body)} bytes; the shortest has {fixed}")
    microseconds, changed, first, count, length, cpu_microseconds = _EXIT.unpack_from(body)
    rest = body[fixed:]
    if len(rest) != 8 * count + length:
        raise BadWire(
            f"an exit with {count} registers and a tail of {length} bytes that holds {len(rest)} bytes"
        )
    if (
        length > RUN_TAIL
        or changed > length
        or (length and not RUN_HEAD <= first <= RUN_HEAD + RUN_TAIL - length)
    ):
        raise BadWire(f"an exit with a tail of {length} bytes at {first}, of which {changed} changed")
    if count > REGISTERS_MAX:
        raise BadWire(f"an exit with {count} registers; at most {REGISTERS_MAX} fit")
    registers = struct.unpack_from(f"<{count}Q", rest)
    head = body[_EXIT.size : fixed]
    return Exit(microseconds, cpu_microseconds, changed, first, head, registers, rest[8 * count :])
