"""What a user of a real VMM saw of an event: from the answers of a scenario of scenario/vmms.py. No I/O."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sysevent.decode.program import Ended, read_program
from sysevent.decode.qmp import Event, Transcript, read_qmp
from sysevent.errors import BadWire, GuestLost, NotApplicable
from sysevent.model import Observation
from sysevent.text import first_line

# Labels of the steps: QEMU has started and waits, the guest runs, QEMU is asked how it is and ends.
START, RUN, END = "start", "run", "end"
# Events that follow from others: the machine was started by the harness, or stopped because of what is listed.
_CONSEQUENCES = ("RESUME", "STOP")
_QUIT = "host-qmp-quit"
# Characters of what a VMM printed that are part of a message.
WORDS_MAX = 200
# A line of the guest: guests/vmms/<arch>.S.
_REPORT = re.compile(rb"([mrge])([0-9a-f]{16})\n")
# What QEMU says, without a line feed and several times, on a kernel of images/kconfig, and goes on.
_NO_EPOLL = b"Failed to create epoll instance: Function not implemented"
# What QEMU says of an option that it does not know, or that its machine does not have.
_UNKNOWN = re.compile(r"(-\S+: invalid option|[Pp]roperty '\S+' not found|Unexpected parameter \S+)")


class VmmEvent(msgspec.Struct, frozen=True):
    """One event that a VMM reported."""

    # "RESET"
    name: str
    # "guest-reset"; "" if it has none.
    reason: str = ""
    # What else came with it, by name, such as the parameters of a crash.
    data: dict[str, str] = {}

    def __str__(self) -> str:
        return f"{self.name} {self.reason}".strip()


class Outcome(msgspec.Struct, frozen=True):
    """What a user of a real VMM saw of one event of its guest. Its texts are as the VMM sent them: hostile."""

    # Of the VMM, as it says itself.
    version: str
    # In order; of one that is repeated at once the last.
    events: tuple[VmmEvent, ...]
    # How often the guest has started.
    starts: int
    # What the guest's call returned; None if it did not return.
    returned: int | None
    # True: the guest got a fault (#GP) from its call.
    refused: bool
    # What the VMM said of the guest after the event: "running", "shutdown", "guest-panicked"; "" if it had ended.
    state: str
    # Exit code of the VMM, negative for a signal; None: it was killed, because it did not end.
    exit_code: int | None
    # How it ended, in words.
    ended: str
    # Seconds from the guest's start to the last event; 0 without one.
    seconds: float
    # Seconds from the VMM's start until it was ready to start its guest.
    start_seconds: float
    # The most memory of the VMM at a time, in KiB; 0 if it did not end.
    memory: int

    @property
    def restarted(self) -> bool:
        """True if the guest has started again, in the same memory."""
        return self.starts > 1

    @property
    def happened(self) -> str:
        """Its events in one line: "GUEST_PANICKED, SHUTDOWN guest-panic"; "none" without any."""
        return ", ".join(map(str, self.events)) or "none"


def outcome(seen: Observation) -> Outcome:
    """The outcome of a scenario that a VMM ran.

    Raises NotApplicable if this VMM lacks an option that the scenario needs, GuestLost if it did not get so far as to
    run the guest, and BadWire if its answers are malformed.
    """
    started, ran, end = (read_program(seen.answers[label]) for label in (START, RUN, END))
    _require_started(seen.scenario, started)
    said = read_qmp(started.output + ran.output + end.output)
    found = reports(started.side + ran.side + end.side)
    if not said.version or "m" not in found:
        raise GuestLost(
            f"{seen.scenario}: the VMM ran, and its guest did not: {last_words(started, ran, end)}"
        )
    if any(one.cut for one in (started, ran, end)):
        raise BadWire(f"{seen.scenario}: the VMM printed more than is kept")
    # Without an end in its own step, the VMM had ended in the one before.
    last = ran if ran.status is not None else end
    events = [event for event in said.events if event.text("reason") != _QUIT]
    return Outcome(
        said.version,
        _without_repetitions(events),
        found["m"],
        found.get("r"),
        "g" in found,
        _state(said) if last is end else "",
        last.exit_code,
        str(last),
        _seconds(events),
        started.seconds,
        last.memory,
    )


def _require_started(name: str, started: Ended) -> None:
    if started.found:
        return
    words = last_words(started)
    if found := _UNKNOWN.search(words):
        raise NotApplicable(f"this VMM has no such option: {found[0]}")
    raise GuestLost(f"{name}: the VMM did not start its guest: {started}: {words}")


def last_words(*parts: Ended) -> str:
    """Return the first line of what a VMM printed as errors, in words for a message."""
    text = b"".join(one.errors for one in parts).replace(_NO_EPOLL, b"").decode("ascii", "replace")
    return first_line(text)[:WORDS_MAX] or "it printed no error"


def reports(side: bytes) -> dict[str, int]:
    """Return the last report of the guest of each kind. Later lines win, as the marker counts up."""
    return {found[1].decode(): int(found[2], 16) for found in _REPORT.finditer(side)}


def _without_repetitions(events: list[Event]) -> tuple[VmmEvent, ...]:
    found: list[VmmEvent] = []
    for event in events:
        if event.name in _CONSEQUENCES:
            continue
        one = VmmEvent(event.name, event.text("reason"), _data(event.data))
        if found and (found[-1].name, found[-1].reason) == (one.name, one.reason):
            # QEMU 5.2 reports the crash first, and once more with what it does about it.
            found.pop()
        found.append(one)
    return tuple(found)


def _data(data: dict[str, Any]) -> dict[str, str]:
    """Members of an event's data, and of `info` in it, as texts; those that all events have are left out."""
    info = data.get("info")
    flat = {**data, **(info if isinstance(info, dict) else {})}
    return {
        str(key)[:40]: str(value)[:100]
        for key, value in sorted(flat.items())
        if key not in ("reason", "guest", "info") and isinstance(value, str | int)
    }


def _state(said: Transcript) -> str:
    found = [one["status"] for one in said.answers if isinstance(one, dict) and "status" in one]
    return str(found[-1])[:40] if found else ""


def _seconds(events: list[Event]) -> float:
    begin = next((event.at for event in events if event.name == "RESUME"), 0.0)
    ends = [event.at for event in events if event.name not in _CONSEQUENCES and event.at >= begin > 0]
    return round(ends[-1] - begin, 3) if ends else 0.0
