"""A structure drawn as bytes: a cell for each member, one ABI under the other. No I/O.

Two characters stand for a byte. Members of a union overlap, so an ABI takes as many lanes as it needs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from sysevent.decode.structs import Leaf

_ROW = 32  # bytes side by side: with the name before it, 80 columns
_WIDTH = 2  # characters a byte
_SCALE = 4  # bytes between two numbers above


class Look(enum.StrEnum):
    """What a piece of a line is, so that a terminal can colour it."""

    PLAIN = "plain"
    SAME = "same"  # a member where every ABI has it
    OTHER = "other"  # a member that another ABI has elsewhere, or not
    PADDING = "padding"
    HEAD = "head"


Line = tuple[tuple[str, Look], ...]


class Drawn(msgspec.Struct, frozen=True):
    """One ABI's view of some bytes."""

    leaves: tuple[Leaf, ...]
    start: int
    end: int


def draw(views: Mapping[str, Drawn]) -> list[Line]:
    """The lines of a drawing; offsets count from the outermost structure."""
    start = min(view.start for view in views.values())
    end = max(view.end for view in views.values())
    differing = _differing(list(views.values()))
    label = max(len(name) for name in views) + 2
    lines: list[Line] = []
    for row in range(start, end, _ROW):
        stop = min(row + _ROW, end)
        scale = "".join(str(at).ljust(_SCALE * _WIDTH) for at in range(row, stop, _SCALE))
        lines.append(((f"{'':{label}}{scale}".rstrip(), Look.PLAIN),))
        for name, view in views.items():
            covered = {at for leaf in view.leaves for at in range(leaf.offset, leaf.end)}
            for number, lane in enumerate(_lanes(view)):
                shown = covered if number == 0 else None
                cells = _cells(lane, row, min(stop, view.end), differing, shown)
                if cells:
                    head = name if number == 0 else ""
                    lines.append(((f"{head:{label}}", Look.PLAIN), *cells, ("|", Look.PLAIN)))
        lines.append((("", Look.PLAIN),))
    return lines[:-1]


def text(line: Line) -> str:
    """A line without its looks."""
    return "".join(piece for piece, _ in line)


def _differing(views: Sequence[Drawn]) -> set[str]:
    places: dict[str, set[tuple[int, int] | None]] = {}
    for view in views:
        for leaf in view.leaves:
            places.setdefault(leaf.path, set()).add((leaf.offset, leaf.size))
    for path, found in places.items():
        if any(all(leaf.path != path for leaf in view.leaves) for view in views):
            found.add(None)
    return {path for path, found in places.items() if len(found) > 1}


def _lanes(view: Drawn) -> list[list[Leaf]]:
    """The members in as few lanes as keep overlapping ones apart."""
    lanes: list[list[Leaf]] = [[]]
    for leaf in sorted(view.leaves, key=lambda found: (found.offset, -found.size)):
        for lane in lanes:
            if not lane or lane[-1].end <= leaf.offset:
                lane.append(leaf)
                break
        else:
            lanes.append([leaf])
    return lanes


def _cells(
    lane: Sequence[Leaf], row: int, stop: int, differing: set[str], covered: set[int] | None
) -> list[tuple[str, Look]]:
    """A lane's piece of a row; the first lane alone is told what is covered, and shows what is not."""
    cells: list[tuple[str, Look]] = []
    at = row
    for leaf in lane:
        begin, end = max(leaf.offset, row), min(leaf.end, stop)
        if begin >= end:
            continue
        cells += _gap(at, begin, covered)
        cells.append((_cell(leaf, begin, end), Look.OTHER if leaf.path in differing else Look.SAME))
        at = end
    if at == row and covered is None:
        return []
    return cells + _gap(at, stop, covered)


def _cell(leaf: Leaf, begin: int, end: int) -> str:
    room = (end - begin) * _WIDTH - 1
    name = leaf.path.rpartition(".")[2] if begin == leaf.offset else "..."
    if len(name) > room:
        name = name[: max(room - 1, 1)] + ("~" if room > 1 else "")
    return f"|{name:{room}}"


def _gap(begin: int, end: int, covered: set[int] | None) -> list[tuple[str, Look]]:
    """Bytes that no member covers are padding; those of another lane are just empty."""
    cells: list[tuple[str, Look]] = []
    while begin < end:
        empty = covered is None or begin in covered
        stop = begin + 1
        while stop < end and (covered is None or stop in covered) == empty:
            stop += 1
        width = (stop - begin) * _WIDTH
        fill = " " * width if empty else "|" + "\N{MIDDLE DOT}" * (width - 1)
        cells.append((fill, Look.PLAIN if empty else Look.PADDING))
        begin = stop
    return cells
