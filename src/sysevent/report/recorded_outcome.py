"""The recorded form of what a user of a real VMM saw of an event. `outcome` records."""

from __future__ import annotations

import msgspec

from sysevent.decode.outcome import Outcome
from sysevent.report.recorded_observation import Natural
from sysevent.text import printable


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a real VMM showed of one event of its guest. Its texts are safe to print."""

    version: str
    """Version of the VMM, as it says itself."""
    events: tuple[str, ...]
    """What it reported, in order, each with its reason: `RESET guest-reset`. One that is repeated is listed once."""
    data: dict[str, str]
    """What else came with these events, by name: `action`, `arg1`."""
    restarted: bool
    """True if the guest has started again, in the same memory."""
    starts: Natural
    """How often the guest has started, by a count in its memory."""
    returned: str
    """What the guest's call returned, in hexadecimal. Empty if it did not return."""
    refused: bool
    """True if the guest got a fault from its call."""
    state: str
    """What the VMM said of its guest afterwards: `running`, `shutdown`, `guest-panicked`. Empty if it had ended."""
    exit_code: int | None
    """Exit code of the VMM, negative for a signal. null if it was killed, because it did not end."""
    ended: str
    """How the VMM ended, in words."""
    seconds: float
    """Time from the guest's start to the last event, in seconds. 0 without an event."""
    start_seconds: float
    """Time from the VMM's start until it was ready to start its guest, in seconds."""
    memory: Natural
    """The most memory that the VMM had at a time, in KiB. 0 if it did not end."""

    @classmethod
    def of(cls, found: Outcome) -> Seen:
        """Return the recorded form of an outcome."""
        data = {key: value for event in found.events for key, value in event.data.items()}
        return cls(
            version=printable(found.version),
            events=tuple(printable(str(one)) for one in found.events),
            data={printable(key): printable(value) for key, value in data.items()},
            restarted=found.restarted,
            starts=found.starts,
            returned="" if found.returned is None else f"{found.returned:#x}",
            refused=found.refused,
            state=printable(found.state),
            exit_code=found.exit_code,
            ended=found.ended,
            seconds=found.seconds,
            start_seconds=found.start_seconds,
            memory=found.memory,
        )
