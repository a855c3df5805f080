"""A structure drawn as a row of bytes: a cell for each member, one ABI below the other. No I/O.

Each byte is two characters wide. Members of a union overlap, so an ABI takes as many lanes as are needed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from sysevent.decode.structs import Leaf

# Bytes per row. With the name of the ABI before it, a row fits into 80 columns.
_ROW = 32
# Characters per byte.
_WIDTH = 2
# Bytes between two numbers of the scale.
_SCALE = 4


class Look(enum.StrEnum):
    """The role of a piece of a line, by which a terminal colours it."""

    PLAIN = "plain"
    # A member that all ABIs have at the same place.
    SAME = "same"
    # A member that another ABI has at another place, or does not have.
    OTHER = "other"
    PADDING = "padding"
    HEAD = "head"


Line = tuple[tuple[str, Look], ...]
"""Pieces of text, each with its role."""


class StructView(msgspec.Struct, frozen=True):
    """The bytes of a structure as one ABI sees them: members, first offset, offset after the last byte."""

    leaves: tuple[Leaf, ...]
    start: int
    end: int


def draw(views: Mapping[str, StructView]) -> list[Line]:
    """Return the lines of a drawing of views, by name of the ABI. Offsets are those in the outermost structure."""
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
    """Return the plain text of a line."""
    return "".join(piece for piece, _ in line)


def _differing(views: Sequence[StructView]) -> set[str]:
    """Return the paths of the members that the views do not have at the same place with the same size."""
    places: dict[str, set[tuple[int, int] | None]] = {}
    for view in views:
        for leaf in view.leaves:
            places.setdefault(leaf.path, set()).add((leaf.offset, leaf.size))
    for path, found in places.items():
        if any(all(leaf.path != path for leaf in view.leaves) for view in views):
            found.add(None)
    return {path for path, found in places.items() if len(found) > 1}


def _lanes(view: StructView) -> list[list[Leaf]]:
    """Distribute the members over as few lanes as keep overlapping ones apart."""
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
    """Return the part of a lane in the row from `row` to `stop`.

    covered: the bytes that a member covers, in any lane, for the first lane, which shows padding; else None.
    """
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
    """Return the cell of a member's bytes in one row, with its name shortened to fit."""
    space = (end - begin) * _WIDTH - 1
    name = leaf.path.rpartition(".")[2] if begin == leaf.offset else "..."
    if len(name) > space:
        name = name[: max(space - 1, 1)] + ("~" if space > 1 else "")
    return f"|{name:{space}}"


def _gap(begin: int, end: int, covered: set[int] | None) -> list[tuple[str, Look]]:
    """Return cells for bytes without a member of this lane: padding, or blanks if another lane has a member."""
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
