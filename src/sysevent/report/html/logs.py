"""The end of the logs of targets, from results directories: what a page shows beside the records of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sysevent.reading import read_end
from sysevent.report.run_log import logs_in

# In the order in which they say why a guest ended.
_NAMES = ("console.log", "qemu.log")
# Bytes of each.
_END = 6000


def reader(results: Sequence[Path]) -> Callable[[str], str]:
    """Return a function that gives the end of the logs of a target, by its name; "" if no directory has any.

    results: results directories, of which the first that has logs of the target counts. What cannot be read is left
    out, and never raises: a page without the end of a log is better than none.
    """

    def tail(target: str) -> str:
        for place in results:
            found = [text for name in _NAMES if (text := _end(logs_in(place, target) / name))]
            if found:
                return "\n".join(found)
        return ""

    return tail


def _end(log: Path) -> str:
    try:
        content = read_end(log, _END)
    except (OSError, ValueError):
        return ""
    text = content.decode(errors="backslashreplace").strip()
    return f"{log.name}, the end of it:\n{text}\n" if text else ""
