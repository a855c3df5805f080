"""Numbers of the ABI as text for users: "24 (SYSTEM_EVENT)". A number without a name is shown alone."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason


def _names(table: Iterable[IntEnum]) -> dict[int, str]:
    return {number.value: number.name for number in table}


_EXIT_REASONS = _names(ExitReason)
_EVENT_TYPES = _names(EventType)
_ERRNOS = _names(Errno)


def exit_reason(number: int) -> str:
    """Return an exit reason as text: "24 (SYSTEM_EVENT)"."""
    return f"{number} ({_EXIT_REASONS[number]})" if number in _EXIT_REASONS else _bare(number)


def event_type(number: int) -> str:
    """Return the type of a system event as text: "2 (RESET)"."""
    return f"{number} ({_EVENT_TYPES[number]})" if number in _EVENT_TYPES else _bare(number)


def errno(number: int) -> str:
    """Return an errno as text: "22 (EINVAL)"."""
    return f"{number} ({_ERRNOS[number]})" if number in _ERRNOS else str(number)


def _bare(number: int) -> str:
    """Return a number without a name as text: hexadecimal from 1000 on, where it is a bit pattern or poison."""
    return str(number) if number < 1000 else f"{number:#x}"
