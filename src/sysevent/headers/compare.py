"""Compares the headers of two kernels for one ABI: moved and added members, and what an old binary misreads. No I/O."""

from __future__ import annotations

import enum
import re

import msgspec

from sysevent.arches import Abi, native
from sysevent.decode.structs import Hole, Layout, Leaf, Struct, holes, leaves
from sysevent.headers.compat import Fate, known_difference
from sysevent.headers.scan import covering

# Explicit padding: names of members that no program reads.
_RESERVED = re.compile(r"(?:.*\.)?(?:_*(?:pad|padding|reserved|rsvd|unused|dummy)_*\d*)(?:\[\])?$")

# Constants without a promise: each is the number of the constants before it.
_BOUND = re.compile(r".*_(?:MAX|LAST|NR|NUM|COUNT)$")


class Kind(enum.StrEnum):
    """What happened to a member between two kernels."""

    # An old binary reads other bytes than the new kernel writes.
    MOVED = "moved"
    # The same, because the width changed.
    RESIZED = "resized"
    # An old binary reads bytes that have another meaning now.
    GONE = "gone"
    # Its bytes were implicit padding, in which an old kernel leaves arbitrary values.
    FILLED = "into padding"
    # Its bytes were a reserved member, which had to be zero.
    RESERVED = "into reserved"
    # A further name for bytes that have one.
    ALIAS = "alias"
    # A further member of a union, with members of its own.
    ALTERNATIVE = "alternative"
    # After the old end of the structure.
    APPENDED = "appended"
    # An array has more elements.
    GROWN = "grown"
    # The same bytes have another name.
    RENAMED = "renamed"

    @property
    def misread(self) -> bool:
        """True if a read of the member under its old name gives other bytes."""
        return self in (Kind.MOVED, Kind.RESIZED, Kind.GONE)


class Change(msgspec.Struct, frozen=True):
    """One member of one structure."""

    struct: str
    path: str
    kind: Kind
    # Offset and size in the old headers, in bytes; None if it was not there.
    old: tuple[int, int] | None
    # The same in the new headers.
    new: tuple[int, int] | None
    note: str = ""
    # Why no binary of that ABI reads it; "" if binaries do.
    spared: str = ""

    @property
    def misread(self) -> bool:
        """True if a binary built with the old headers misreads it on the new kernel."""
        return self.kind.misread and not self.spared


class Comparison(msgspec.Struct, frozen=True):
    """The differences between two kernels' headers for one ABI."""

    changes: tuple[Change, ...]
    # Names of structures.
    added: tuple[str, ...]
    removed: tuple[str, ...]
    # Structures whose size changed: name, old and new bytes.
    sizes: tuple[tuple[str, int, int], ...]
    # Constants whose value changed: name, old and new value.
    renumbered: tuple[tuple[str, int, int], ...]
    # The same, of constants that are the number of others.
    bounds: tuple[tuple[str, int, int], ...]

    @property
    def breaks(self) -> bool:
        """True if a binary built with the old headers misreads a member, or uses a number whose meaning changed."""
        return bool(self.renumbered) or any(change.misread for change in self.changes)


def compare(old: Layout, new: Layout, abi: Abi) -> Comparison:
    """Return the differences for programs of one ABI; members that an old binary misreads come first."""
    both = sorted(old.structs.keys() & new.structs.keys())
    changes = [
        msgspec.structs.replace(change, spared=_unread_reason(change, abi))
        for name in both
        for change in _struct_changes(old.structs[name], new.structs[name], new)
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


def _unread_reason(change: Change, abi: Abi) -> str:
    """Return why no binary of the ABI reads a member; "" if binaries do."""
    if abi.unreachable:
        return abi.unreachable
    known = known_difference(change.struct, change.path, abi.arch)
    foreign = abi is not native(abi.arch)
    if known and (known.fate is Fate.ABSENT or (foreign and known.fate is Fate.REFUSED)):
        return f"{known.fate}: {known.source}"
    return ""


def _struct_changes(old: Struct, new: Struct, layout: Layout) -> list[Change]:
    before = {leaf.path: leaf for leaf in leaves(old)}
    after = {leaf.path: leaf for leaf in leaves(new)}
    gaps = holes(old)
    found = []
    for path, leaf in before.items():
        if _RESERVED.match(path):
            continue
        if path not in after:
            found.append(_removed(leaf, new))
        elif change := _moved_or_resized(leaf, after[path], new, layout):
            found.append(change)
    renamed = {change.note for change in found if change.kind is Kind.RENAMED}
    found += [
        _added(leaf, old, gaps)
        for path, leaf in after.items()
        if path not in before and path not in renamed and not _RESERVED.match(path)
    ]
    return [msgspec.structs.replace(change, struct=old.name) for change in found]


def _moved_or_resized(old: Leaf, new: Leaf, struct: Struct, layout: Layout) -> Change | None:
    extents = (old.offset, old.size), (new.offset, new.size)
    if old.offset != new.offset:
        names = ", ".join(leaf.path for leaf in covering(struct, old.offset, old.end, old.path))
        return Change("", old.path, Kind.MOVED, *extents, f"its old bytes are now {names or 'padding'}")
    if old.size == new.size or new.ref in layout.structs:
        return None
    if new.size > old.size and old.type.partition("[")[0] == new.type.partition("[")[0]:
        return Change("", old.path, Kind.GROWN, *extents)
    return Change("", old.path, Kind.RESIZED, *extents)


def _removed(leaf: Leaf, new: Struct) -> Change:
    extent = (leaf.offset, leaf.size)
    part = leaf.path.rpartition(".")[0]
    # A new union around a member, or the removal of one, changes its path but not its offset.
    for other in leaves(new):
        if (other.offset, other.size) == extent and _may_be_renamed(other.path, part, leaf.path):
            return Change("", leaf.path, Kind.RENAMED, extent, extent, other.path)
    names = ", ".join(found.path for found in covering(new, leaf.offset, leaf.end, leaf.path))
    return Change("", leaf.path, Kind.GONE, extent, None, f"its bytes are now {names}" if names else "")


def _may_be_renamed(path: str, part: str, old: str) -> bool:
    """Return whether two paths can be one member: both in the same part, or both with the same last name."""
    return path.rpartition(".")[0].startswith(part) or path.rpartition(".")[2] == old.rpartition(".")[2]


def _shares_bytes(path: str, struct: Struct) -> bool:
    """Return whether a member overlaps others, as kvm_run.padding does, which only gives the union its size."""
    mine = next(leaf for leaf in leaves(struct) if leaf.path == path)
    return any(
        leaf.path != path and leaf.offset < mine.end and mine.offset < leaf.end for leaf in leaves(struct)
    )


def _added(leaf: Leaf, old: Struct, gaps: tuple[Hole, ...]) -> Change:
    extent = (leaf.offset, leaf.size)
    for gap in gaps:
        inside = leaf.path.startswith(f"{gap.where}.") if gap.where else True
        if inside and gap.offset <= leaf.offset and leaf.end <= gap.end:
            return Change("", leaf.path, Kind.FILLED, None, extent, f"padding after {gap.after}")
    if leaf.offset >= old.size:
        return Change("", leaf.path, Kind.APPENDED, None, extent)
    # First the member itself, then the structures that contain it, from the inside out.
    path, is_member = leaf.path, True
    while path:
        names = [found.path for found in covering(old, leaf.offset, leaf.end, path)]
        if names and all(_RESERVED.match(name) and not _shares_bytes(name, old) for name in names):
            return Change("", leaf.path, Kind.RESERVED, None, extent, f"was {', '.join(names)}")
        if names and is_member and not leaf.ref:
            return Change("", leaf.path, Kind.ALIAS, None, extent, f"shares bytes with {', '.join(names)}")
        path, is_member = path.rpartition(".")[0], False
    return Change("", leaf.path, Kind.ALTERNATIVE, None, extent)
