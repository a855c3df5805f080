"""The comparison of two runs as text. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sysevent.report.difference import Difference, RunComparison
from sysevent.text import escape_line

_DATA = "data["


def lines(found: RunComparison) -> list[str]:
    """Return a line per difference under a line per target and scenario, then the notes."""
    text: list[str] = []
    place = None
    for one in joined(found.differences):
        if place != (one.target, one.scenario):
            place = (one.target, one.scenario)
            text.append(f"{one.target}: {one.scenario}" if one.scenario else f"{one.target}:")
        where = "" if not one.label or one.label == "exit" else f"{one.label}: "
        at = f" @{one.span[0]}..{one.span[1] - 1}" if one.span and not one.what.startswith("bytes") else ""
        text.append(f"  {where}{one.what}{at}: {one.before} -> {one.after}")
    if not text:
        text.append(f"nothing differs in {found.compared} scenarios")
    text += [f"note: {note}" for note in found.notes]
    # What comes from a file must not act on a terminal.
    return [escape_line(line) for line in text]


def joined(differences: Iterable[Difference]) -> list[Difference]:
    """Return differences, with consecutive items of data[] that differ in the same way as one."""
    found: list[Difference] = []
    for one in differences:
        last = found[-1] if found else None
        span = _joint_span(last, one) if last is not None else None
        if last is None or span is None:
            found.append(one)
            continue
        first = last.what.removeprefix(_DATA).split("]")[0].split("..")[0]
        what = f"{_DATA}{first}..{one.what.removeprefix(_DATA).rstrip(']')}]"
        found[-1] = msgspec.structs.replace(last, what=what, span=span)
    return found


def _joint_span(last: Difference, one: Difference) -> tuple[int, int] | None:
    """Return the bytes of two differences if they can be one, else None."""
    data = last.what.startswith(_DATA) and one.what.startswith(_DATA)
    same_place = (last.target, last.scenario, last.label) == (one.target, one.scenario, one.label)
    same_change = (last.before, last.after) == (one.before, one.after)
    if not (data and same_place and same_change) or last.span is None or one.span is None:
        return None
    return (last.span[0], one.span[1]) if last.span[1] == one.span[0] else None
