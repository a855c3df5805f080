"""What the kernel of one target logged around each scenario, and which of it is an incident."""

from __future__ import annotations

from collections.abc import Callable

from sysevent.decode.kernel_log import splats
from sysevent.engine.question import Key
from sysevent.errors import BadWire
from sysevent.model import KernelLog
from sysevent.wire import Reply

# Lines of an incident.
_SHOWN = 60


class KernelLogs:
    """The logs of all scenarios that a target has answered, also of those whose answers do not count."""

    def __init__(self, on_warning: Callable[[str], None]) -> None:
        """on_warning: called with the text of an incident, once for each scenario around which there was a warning."""
        # In the order of the replies; a scenario that is asked twice has two.
        self.entries: list[tuple[Key, KernelLog]] = []
        self._on_warning = on_warning
        # Names of the scenarios that on_warning was called for.
        self._reported: set[str] = set()

    def add(self, scenario: str, abi: str, reply: Reply | BadWire) -> None:
        """Keep the log of a reply."""
        if isinstance(reply, BadWire):
            return
        self.entries.append((Key(scenario, abi), reply.log))
        text = warning(scenario, reply.log)
        if text and scenario not in self._reported:
            self._reported.add(scenario)
            self._on_warning(text)


def warning(scenario: str, log: KernelLog) -> str:
    """The text of an incident: which scenario ran, and the lines of the splats around it; "" if there are none."""
    found = [
        (when, splat)
        for when, lines in ((f"before {scenario}", log.before), (f"while {scenario} ran", log.lines))
        for splat in splats(lines)
    ]
    if not found:
        return ""
    lines = [line for _, splat in found for line in splat.lines]
    cut = [f"({len(lines) - _SHOWN} more lines)"] if len(lines) > _SHOWN else []
    missing = ["(messages are missing here)"] if log.lost or log.cut else []
    when, splat = found[0]
    return "\n".join([f"the kernel warned {when}: {splat.headline}", *lines[:_SHOWN], *cut, *missing])
