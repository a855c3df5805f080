"""Reads what QEMU printed on a QMP connection (docs/interop/qmp-spec.rst) until its end. No I/O.

QEMU ran in a guest, so all of it is hostile: what is not QMP is skipped, lines and their number are limited, and text
stays text, which is escaped where it is shown. The client of a QEMU that runs here is qemu/monitor.py.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

# Bytes of a line; QEMU's longest here have 300. Longer ones are skipped.
_LINE_MAX = 1 << 16
# Events and answers that are kept, the first ones.
_KEPT = 200
# Characters of a text that are kept.
_TEXT_MAX = 400
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,60}")


class Event(msgspec.Struct, frozen=True):
    """One event."""

    # "GUEST_PANICKED"
    name: str
    # Its data as QEMU sent it; empty if it has none.
    data: dict[str, Any]
    # Its time, in seconds since the epoch of the guest in which QEMU ran; 0 if it has none.
    at: float

    def text(self, key: str) -> str:
        """A member of its data, if that is a text; "" otherwise."""
        found = self.data.get(key)
        return found[:_TEXT_MAX] if isinstance(found, str) else ""


class Transcript(msgspec.Struct, frozen=True):
    """What one QEMU sent, from its greeting on."""

    # Of QEMU: "10.0.13"; "" without a greeting.
    version: str
    events: tuple[Event, ...]
    # What its commands returned, in order; an error as its description.
    answers: tuple[Any, ...]


class _Triple(msgspec.Struct, frozen=True):
    major: int
    minor: int
    micro: int


class _Version(msgspec.Struct, frozen=True):
    qemu: _Triple


class _Greeting(msgspec.Struct, frozen=True):
    version: _Version


class _Time(msgspec.Struct, frozen=True):
    seconds: int
    microseconds: int


class _Error(msgspec.Struct, frozen=True):
    desc: str = ""


class _Line(msgspec.Struct, frozen=True, rename={"greeting": "QMP", "result": "return"}):
    greeting: _Greeting | None = None
    event: str = ""
    data: dict[str, Any] = {}
    timestamp: _Time = _Time(0, 0)
    result: Any = msgspec.UNSET
    error: _Error | None = None


def read_qmp(data: bytes) -> Transcript:
    """What QEMU sent as values. Lines that are not QMP are skipped, so this raises nothing."""
    version = ""
    events: list[Event] = []
    answers: list[Any] = []
    for raw in data.split(b"\n"):
        if not raw.lstrip().startswith(b"{") or len(raw) > _LINE_MAX:
            continue
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        if line.greeting is not None:
            found = line.greeting.version.qemu
            version = version or f"{found.major}.{found.minor}.{found.micro}"
        elif _NAME.fullmatch(line.event) and len(events) < _KEPT:
            at = line.timestamp.seconds + line.timestamp.microseconds / 1e6
            events.append(Event(line.event, line.data, at))
        elif line.error is not None and len(answers) < _KEPT:
            answers.append(line.error.desc[:_TEXT_MAX])
        elif line.result is not msgspec.UNSET and len(answers) < _KEPT:
            answers.append(line.result)
    return Transcript(version, tuple(events), tuple(answers))
