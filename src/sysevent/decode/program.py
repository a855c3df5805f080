"""Reads the answer of a Program step: how a program in L1 ended, and what it printed. No I/O.

What it printed is hostile: it stays bytes here, and is escaped where it is shown.
"""

from __future__ import annotations

import itertools
import os
import signal
import struct

import msgspec

from sysevent import wire
from sysevent.abi import names
from sysevent.errors import BadWire
from sysevent.model import Answer

# Flags, the status of wait4(), milliseconds, CPU milliseconds, KiB, and the length of each stream.
_HEAD = struct.Struct("<H7I")


class Ended(msgspec.Struct, frozen=True):
    """How a Program step ended."""

    # Why the program could not be started, as an errno; 0: it was started.
    errno: int
    # What it printed: standard output, standard error, and what it wrote to file descriptor 3.
    output: bytes = b""
    errors: bytes = b""
    side: bytes = b""
    # What waitpid() says of it; None: it has not ended.
    status: int | None = None
    # True: it was killed because its time was over.
    killed: bool = False
    # True: its text was found, which ended the step. The program goes on.
    found: bool = False
    # True: it printed more than is kept.
    cut: bool = False
    # Since it was started.
    seconds: float = 0.0
    # CPU time of the program and of the children that it waited for.
    cpu_seconds: float = 0.0
    # The most memory that it had at a time, in KiB.
    memory: int = 0

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative if a signal ended it; None if it has not ended, or was killed for its deadline."""
        if self.status is None or self.killed:
            return None
        return os.waitstatus_to_exitcode(self.status)

    def __str__(self) -> str:
        """How it ended, in a few words: "exit code 0", "SIGABRT", "still ran after 10.0 s"."""
        if self.errno:
            return f"cannot be started: {names.errno(self.errno)}"
        if self.killed:
            return f"still ran after {self.seconds:.1f} s"
        code = self.exit_code
        if code is None:
            return "runs"
        if code >= 0:
            return f"exit code {code}"
        known = -code in {one.value for one in signal.Signals}
        return signal.Signals(-code).name if known else f"signal {-code}"


def read_program(answer: Answer) -> Ended:
    """The answer of a Program step as a value; BadWire if a length in it does not fit."""
    if len(answer.data) < _HEAD.size:
        raise BadWire(f"the result of a program has {len(answer.data)} bytes, which is too short")
    flags, status, milliseconds, cpu, memory, *lengths = _HEAD.unpack_from(answer.data)
    if answer.ret < 0:
        return Ended(answer.errno or 1)
    if _HEAD.size + sum(lengths) != len(answer.data):
        raise BadWire(f"the result of a program with {sum(lengths)} bytes of output has {len(answer.data)}")
    ends = [_HEAD.size + sum(lengths[:count]) for count in range(len(lengths) + 1)]
    output, errors, side = (answer.data[a:b] for a, b in itertools.pairwise(ends))
    ended = bool(flags & wire.PROGRAM_ENDED)
    if ended and (status > 0xFFFF or not (os.WIFEXITED(status) or os.WIFSIGNALED(status))):
        raise BadWire(f"the result of a program has the status {status:#x}, which wait4() does not give")
    return Ended(
        0,
        output,
        errors,
        side,
        status if ended else None,
        killed=bool(flags & (wire.PROGRAM_KILLED | wire.PROGRAM_STUCK)),
        found=bool(flags & wire.PROGRAM_FOUND),
        cut=bool(flags & wire.PROGRAM_CUT),
        seconds=milliseconds / 1000,
        cpu_seconds=cpu / 1000,
        memory=memory,
    )
