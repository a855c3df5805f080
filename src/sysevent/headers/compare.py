"""One ABI, two kernels: what moved, what was added where, what an old binary would misread. No I/O."""

from __future__ import annotations

import enum
import re

import msgspec

from sysevent.arches import Abi, native
from sysevent.decode.structs import Hole, Layout, Leaf, Struct, holes, leaves
from sysevent.headers.scan import covering
from sysevent.headers.translated import Fate, row

# Explicit padding: members that no program reads.
_RESERVED = re.compile(r"(?:.*\.)?(?:_*(?:pad|padding|reserved|rsvd|unused|dummy)_*\d*)(?:\[\])?$")

# Constants that are no promise: they count what is above them in the header.
_BOUND = re.compile(r".*_(?:MAX|LAST|NR|NUM|COUNT)$")


class Kind(enum.StrEnum):
    """What happened to a member between two kernels."""

    MOVED = "moved"  # an old binary reads other bytes than the new kernel writes
    RESIZED = "resized"  # likewise, of another width
    GONE = "gone"  # an old binary reads bytes that mean something else now
    FILLED = "into padding"  # the bytes were implicit padding: an old kernel leaves anything in them
    RESERVED = "into reserved"  # the bytes had a name that said so, and were zero by contract
    ALIAS = "alias"  # another name for bytes that had one
    ALTERNATIVE = "alternative"  # one more member of a union, with members of its own
    APPENDED = "appended"  # beyond the old end
    GROWN = "grown"  # an array has more elements
    RENAMED = "renamed"  # the same bytes under another name

    @property
    def misread(self) -> bool:
        """Whether the old name leads to other bytes."""
        return self in (Kind.MOVED, Kind.RESIZED, Kind.GONE)


class Change(msgspec.Struct, frozen=True):
    """One member of one structure."""

    struct: str
    path: str
    kind: Kind
    old: tuple[int, int] | None  # offset and size
    new: tuple[int, int] | None
    note: str = ""
    spared: str = ""  # why no binary of that ABI gets to read it

    @property
    def misread(self) -> bool:
        """Whether a binary built against the old headers reads something else on the new kernel."""
        return self.kind.misread and not self.spared


class Comparison(msgspec.Struct, frozen=True):
    """Everything that differs between two kernels' headers for one ABI."""

    changes: tuple[Change, ...]
    added: tuple[str, ...]  # structures
    removed: tuple[str, ...]
    sizes: tuple[tuple[str, int, int], ...]
    renumbered: tuple[tuple[str, int, int], ...]  # constants
    bounds: tuple[tuple[str, int, int], ...]  # constants that count others, and grow with them

    @property
    def breaks(self) -> bool:
        """Whether a binary built against the old headers misreads a member or uses a number of another meaning."""
        return bool(self.renumbered) or any(change.misread for change in self.changes)


def compare(old: Layout, new: Layout, abi: Abi) -> Comparison:
    """What differs for programs of an ABI, the misread members first."""
    both = sorted(old.structs.keys() & new.structs.keys())
    changes = [
        msgspec.structs.replace(change, spared=_spared(change, abi))
        for name in both
        for change in _struct(old.structs[name], new.structs[name], new)
    ]
    numbers = [
        (name, value, new.constants[name])
        for name, value in old.constants.items()
        if name in new.constants and new.constants[name] != value
    ]
    order = list(Kind)
    return Comparison(
        tuple(sorted(changes, key=lambda c: (not c.misread, order.index(c.kind), c.struct))),
        tuple(sorted(new.structs.keys() - old.structs.keys())),
        tuple(sorted(old.structs.keys() - new.structs.keys())),
        tuple(
            (name, old.structs[name].size, new.structs[name].size)
            for name in both
            if old.structs[name].size != new.structs[name].size
        ),
        tuple(number for number in numbers if not _BOUND.match(number[0])),
        tuple(number for number in numbers if _BOUND.match(number[0])),
    )


def _spared(change: Change, abi: Abi) -> str:
    if abi.unreachable:
        return abi.unreachable
    known = row(change.struct, change.path, abi.arch)
    foreign = abi is not native(abi.arch)
    if known and (known.fate is Fate.ABSENT or (foreign and known.fate is Fate.REFUSED)):
        return f"{known.fate}: {known.source}"
    return ""


def _struct(old: Struct, new: Struct, layout: Layout) -> list[Change]:
    before = {leaf.path: leaf for leaf in leaves(old)}
    after = {leaf.path: leaf for leaf in leaves(new)}
    gaps = holes(old)
    found = []
    for path, leaf in before.items():
        if _RESERVED.match(path):
            continue
        if path not in after:
            found.append(_vanished(leaf, new))
        elif change := _shifted(leaf, after[path], new, layout):
            found.append(change)
    renamed = {change.note for change in found if change.kind is Kind.RENAMED}
    found += [
        _arrived(leaf, old, gaps)
        for path, leaf in after.items()
        if path not in before and path not in renamed and not _RESERVED.match(path)
    ]
    return [msgspec.structs.replace(change, struct=old.name) for change in found]


def _shifted(old: Leaf, new: Leaf, struct: Struct, layout: Layout) -> Change | None:
    places = (old.offset, old.size), (new.offset, new.size)
    if old.offset != new.offset:
        there = ", ".join(leaf.path for leaf in covering(struct, old.offset, old.end, old.path))
        return Change("", old.path, Kind.MOVED, *places, f"its old bytes are now {there or 'padding'}")
    if old.size == new.size or new.ref in layout.structs:
        return None
    if new.size > old.size and old.type.partition("[")[0] == new.type.partition("[")[0]:
        return Change("", old.path, Kind.GROWN, *places)
    return Change("", old.path, Kind.RESIZED, *places)


def _vanished(leaf: Leaf, new: Struct) -> Change:
    place = (leaf.offset, leaf.size)
    part = leaf.path.rpartition(".")[0]
    # A union around it, or an end to one, changes the path and not the place.
    for twin in leaves(new):
        if (twin.offset, twin.size) == place and _related(twin.path, part, leaf.path):
            return Change("", leaf.path, Kind.RENAMED, place, place, twin.path)
    there = ", ".join(found.path for found in covering(new, leaf.offset, leaf.end, leaf.path))
    return Change("", leaf.path, Kind.GONE, place, None, f"its bytes are now {there}" if there else "")


def _related(path: str, part: str, old: str) -> bool:
    """Whether two paths can be one member renamed: in the same part, or with the same last name."""
    return path.rpartition(".")[0].startswith(part) or path.rpartition(".")[2] == old.rpartition(".")[2]


def _shared(path: str, struct: Struct) -> bool:
    """Whether a member lies in a union with others, as kvm_run.padding does, which only gives it its size."""
    mine = next(leaf for leaf in leaves(struct) if leaf.path == path)
    return any(
        leaf.path != path and leaf.offset < mine.end and mine.offset < leaf.end for leaf in leaves(struct)
    )


def _arrived(leaf: Leaf, old: Struct, gaps: tuple[Hole, ...]) -> Change:
    place = (leaf.offset, leaf.size)
    for gap in gaps:
        inside = leaf.path.startswith(f"{gap.where}.") if gap.where else True
        if inside and gap.offset <= leaf.offset and leaf.end <= gap.end:
            return Change("", leaf.path, Kind.FILLED, None, place, f"padding after {gap.after}")
    if leaf.offset >= old.size:
        return Change("", leaf.path, Kind.APPENDED, None, place)
    path, own = leaf.path, True
    while path:
        names = [found.path for found in covering(old, leaf.offset, leaf.end, path)]
        if names and all(_RESERVED.match(name) and not _shared(name, old) for name in names):
            return Change("", leaf.path, Kind.RESERVED, None, place, f"was {', '.join(names)}")
        if names and own and not leaf.ref:
            return Change("", leaf.path, Kind.ALIAS, None, place, f"shares bytes with {', '.join(names)}")
        path, own = path.rpartition(".")[0], False
    return Change("", leaf.path, Kind.ALTERNATIVE, None, place)
