"""One kernel's headers, two ABIs: which structures mean other bytes, and what becomes of that. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sysevent.arches import Abi
from sysevent.decode.structs import Hole, Layout, Leaf, Struct, holes, leaves
from sysevent.headers.translated import Fate, row

_UNKNOWN = "no row of src/sysevent/headers/translated.py speaks of it"


class Shift(msgspec.Struct, frozen=True):
    """One member that lies elsewhere, or is wider, for one of two ABIs; path "" is the whole structure."""

    path: str
    native: tuple[int, int]  # offset and size
    other: tuple[int, int]


class Hazard(msgspec.Struct, frozen=True):
    """One structure that two ABIs lay out differently."""

    struct: str
    fate: Fate
    known: bool  # a row of the table speaks of it
    source: str
    shifts: tuple[Shift, ...]
    within: tuple[str, ...]  # members of other structures that are it: "kvm_run.xen"


def scan(kernel: Layout, program: Layout, abi: Abi) -> tuple[Hazard, ...]:
    """Every structure that both have and lay out differently, the wrong ones first."""
    found: list[Hazard] = []
    for name, mine in sorted(kernel.structs.items()):
        theirs = program.structs.get(name)
        if theirs is None:
            continue
        by_fate: dict[tuple[Fate, bool, str], list[Shift]] = {}
        for shift in shifts(mine, theirs, kernel.structs):
            judged = _judge(name, shift.path, kernel, program, abi)
            by_fate.setdefault(judged, []).append(shift)
        for (fate, known, source), moved in by_fate.items():
            inside = _within(name, kernel.structs)
            found.append(Hazard(name, fate, known, source, tuple(moved), inside))
    order = list(Fate)
    return tuple(sorted(found, key=lambda hazard: (order.index(hazard.fate), hazard.struct)))


def shifts(mine: Struct, theirs: Struct, known: Mapping[str, Struct]) -> tuple[Shift, ...]:
    """The members that differ in place or size; a difference inside a named structure is that one's own."""
    other = {leaf.path: leaf for leaf in leaves(theirs)}
    found = []
    for leaf in leaves(mine):
        twin = other.get(leaf.path)
        if twin is None:
            continue
        same_size = leaf.size == twin.size or leaf.ref in known
        if leaf.offset != twin.offset or not same_size or leaf.bits != twin.bits:
            found.append(Shift(leaf.path, (leaf.offset, leaf.size), (twin.offset, twin.size)))
    if mine.size != theirs.size and not found:
        found.append(Shift("", (0, mine.size), (0, theirs.size)))
    return tuple(found)


def _judge(struct: str, path: str, kernel: Layout, program: Layout, abi: Abi) -> tuple[Fate, bool, str]:
    found = row(struct, path, abi.arch)
    if found and found.fate is Fate.ABSENT:
        return Fate.ABSENT, True, found.source
    if abi.unreachable:
        return Fate.UNREACHABLE, True, abi.unreachable
    if found is None:
        return Fate.WRONG, False, _UNKNOWN
    if found.fate is Fate.REFUSED:
        numbers = (kernel.constants.get(found.ioctl), program.constants.get(found.ioctl))
        if numbers[0] == numbers[1]:
            return Fate.WRONG, False, f"{found.ioctl} has one number for both now, so nothing refuses it"
    return found.fate, True, found.source


def _within(name: str, structs: Mapping[str, Struct]) -> tuple[str, ...]:
    return tuple(
        f"{holder.name}.{leaf.path}"
        for holder in structs.values()
        for leaf in leaves(holder)
        if leaf.ref == name
    )


class Padding(msgspec.Struct, frozen=True):
    """Bytes of one structure that nobody named."""

    struct: str
    hole: Hole
    shared: bool  # every ABI of that kernel has them at the same place


def padding(kernel: Layout, programs: Mapping[str, Layout]) -> tuple[Padding, ...]:
    """The implicit padding of every structure, as the kernel's own ABI has it.

    Where another ABI lacks it, a member that is put there later will not fit everyone: so it was in 2022.
    """
    found = []
    for name, struct in sorted(kernel.structs.items()):
        theirs = [set(holes(layout.structs[name])) for layout in programs.values() if name in layout.structs]
        found += [Padding(name, hole, all(hole in other for other in theirs)) for hole in holes(struct)]
    return tuple(found)


def covering(struct: Struct, start: int, end: int, path: str) -> tuple[Leaf, ...]:
    """The members of the same part of a structure that hold any of these bytes."""
    part = path.rpartition(".")[0]
    return tuple(
        leaf
        for leaf in leaves(struct)
        if leaf.offset < end and start < leaf.end and leaf.path.rpartition(".")[0] == part
    )
