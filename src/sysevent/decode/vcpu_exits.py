"""Reads what guests/vmms/kvm-ioctls printed: a line of JSON for each exit that rust-vmm's library returned. No I/O."""

from __future__ import annotations

import msgspec

from sysevent.decode.outcome import RUN, WORDS_MAX, Outcome, VmmEvent
from sysevent.decode.program import read_program
from sysevent.errors import BadWire, GuestLost
from sysevent.model import Observation
from sysevent.text import first_line

# Rust's exit code of a program that panicked.
PANICKED = 101
_LINE_MAX = 4096


class VcpuExit(msgspec.Struct, frozen=True):
    """The last exit of the guest, as the library gave it to the VMM, and how the VMM ended."""

    # "system_event", "shutdown", "hlt", "io_out"; "none" if the library panicked in the first one.
    exit: str
    # Of a system event: its type, and data[0:ndata]; None and () for others.
    type: int | None
    data: tuple[int, ...]
    # What the library panicked with; "" if it did not.
    panic: str
    # How the VMM ended: its exit code, the same in words, and its most memory in KiB.
    exit_code: int | None
    ended: str
    memory: int

    def outcome(self) -> Outcome:
        """The same as what a user of a VMM sees."""
        shown = f"{self.type} [{', '.join(map(hex, self.data))}]" if self.type is not None else ""
        event = VmmEvent("panic", self.panic) if self.panic else VmmEvent(self.exit, shown)
        return Outcome("", (event,), 1, None, False, "", self.exit_code, self.ended, 0.0, 0.0, self.memory)


class _Line(msgspec.Struct, frozen=True):
    exit: str
    type: int | None = None
    data: tuple[int, ...] = ()


def last_exit(seen: Observation) -> VcpuExit:
    """The last exit of a scenario that the VMM ran.

    GuestLost if the VMM did not get so far as to run its guest, BadWire if its output is malformed.
    """
    ended = read_program(seen.answers[RUN])
    if ended.errno or ended.killed:
        raise GuestLost(f"{seen.scenario}: the VMM: {ended}")
    lines = [line for line in ended.output.split(b"\n") if line]
    words = _panic(ended.errors.decode("ascii", "replace"))
    if not lines:
        raise GuestLost(f"{seen.scenario}: the VMM did not run its guest: {ended}: {words or 'no message'}")
    try:
        last = msgspec.json.decode(lines[-1][:_LINE_MAX], type=_Line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadWire(f"{seen.scenario}: the VMM printed a line that is no exit: {error}") from None
    panicked = ended.exit_code == PANICKED
    event = last.exit == "system_event" and not panicked
    # What precedes a panic is another exit, which the VMM had handled.
    return VcpuExit(
        "none" if panicked else last.exit[:40],
        last.type if event else None,
        last.data if event else (),
        words if panicked else "",
        ended.exit_code,
        str(ended),
        ended.memory,
    )


def _panic(errors: str) -> str:
    """The message of a panic: Rust prints it behind the line that names the place, or within it."""
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith("note:")]
    found = next((n for n, line in enumerate(lines) if "panicked at" in line), None)
    if found is None:
        return first_line(errors)[:WORDS_MAX]
    return first_line(lines[found + 1] if found + 1 < len(lines) else lines[found])[:WORDS_MAX]
