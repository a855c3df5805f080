"""Compares one kernel's headers for two ABIs: structures with different layouts, and the consequences. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sysevent.arches import Abi
from sysevent.decode.structs import Hole, Layout, Leaf, Struct, holes, leaves
from sysevent.headers.compat import Fate, known_difference

_UNKNOWN = "src/sysevent/headers/compat.py has no row for it"


class Shift(msgspec.Struct, frozen=True):
    """A member whose offset or size differs between two ABIs."""

    # "" for the size of the whole structure.
    path: str
    # Offset and size in bytes, for the kernel's own ABI.
    native: tuple[int, int]
    # The same for the other ABI.
    other: tuple[int, int]


class Hazard(msgspec.Struct, frozen=True):
    """A structure that two ABIs lay out differently."""

    struct: str
    fate: Fate
    # True: headers/compat.py has a row for it.
    known: bool
    source: str
    shifts: tuple[Shift, ...]
    # Members of other structures that have this type: "kvm_run.xen".
    within: tuple[str, ...]


def scan(kernel: Layout, program: Layout, abi: Abi) -> tuple[Hazard, ...]:
    """Return the structures of both layouts that differ, those that are misread first.

    kernel is the layout for the kernel's own ABI, program that for abi.
    """
    found: list[Hazard] = []
    for name, native in sorted(kernel.structs.items()):
        other = program.structs.get(name)
        if other is None:
            continue
        by_fate: dict[tuple[Fate, bool, str], list[Shift]] = {}
        for shift in shifts(native, other, kernel.structs):
            key = _consequence(name, shift.path, kernel, program, abi)
            by_fate.setdefault(key, []).append(shift)
        for (fate, known, source), moved in by_fate.items():
            inside = _within(name, kernel.structs)
            found.append(Hazard(name, fate, known, source, tuple(moved), inside))
    order = list(Fate)
    return tuple(sorted(found, key=lambda hazard: (order.index(hazard.fate), hazard.struct)))


def shifts(native: Struct, other: Struct, known: Mapping[str, Struct]) -> tuple[Shift, ...]:
    """Return the members of a structure whose offset or size differs, or its size if only that does.

    A member that is one of the known structures may differ in size: that is a difference of the other structure.
    """
    others = {leaf.path: leaf for leaf in leaves(other)}
    found = []
    for leaf in leaves(native):
        there = others.get(leaf.path)
        if there is None:
            continue
        same_size = leaf.size == there.size or leaf.ref in known
        if leaf.offset != there.offset or not same_size or leaf.bits != there.bits:
            found.append(Shift(leaf.path, (leaf.offset, leaf.size), (there.offset, there.size)))
    if native.size != other.size and not found:
        found.append(Shift("", (0, native.size), (0, other.size)))
    return tuple(found)


def _consequence(struct: str, path: str, kernel: Layout, program: Layout, abi: Abi) -> tuple[Fate, bool, str]:
    """Return what the difference of a member leads to, whether that is known, and the source."""
    found = known_difference(struct, path, abi.arch)
    if found and found.fate is Fate.ABSENT:
        return Fate.ABSENT, True, found.source
    if abi.unreachable:
        return Fate.UNREACHABLE, True, abi.unreachable
    if found is None:
        return Fate.WRONG, False, _UNKNOWN
    if found.fate is Fate.REFUSED:
        numbers = (kernel.constants.get(found.ioctl), program.constants.get(found.ioctl))
        if numbers[0] == numbers[1]:
            return (
                Fate.WRONG,
                False,
                f"{found.ioctl} has the same number for both, so the kernel does not refuse it",
            )
    return found.fate, True, found.source


def _within(name: str, structs: Mapping[str, Struct]) -> tuple[str, ...]:
    return tuple(
        f"{holder.name}.{leaf.path}"
        for holder in structs.values()
        for leaf in leaves(holder)
        if leaf.ref == name
    )


class Padding(msgspec.Struct, frozen=True):
    """Implicit padding of a structure."""

    struct: str
    hole: Hole
    # True: every ABI of that kernel has it at the same offset.
    shared: bool


def padding(kernel: Layout, programs: Mapping[str, Layout]) -> tuple[Padding, ...]:
    """Return the implicit padding of every structure in the layout of the kernel's own ABI.

    programs are the layouts of the other ABIs. If one of them lacks the padding, a member that is later put there
    moves others for that ABI, as system_event.ndata did in 2022 (d495f942f40a).
    """
    found = []
    for name, struct in sorted(kernel.structs.items()):
        theirs = [set(holes(layout.structs[name])) for layout in programs.values() if name in layout.structs]
        found += [Padding(name, hole, all(hole in other for other in theirs)) for hole in holes(struct)]
    return tuple(found)


def covering(struct: Struct, start: int, end: int, path: str) -> tuple[Leaf, ...]:
    """Return the members that cover any byte from start to end (exclusive) and lie in the same part as path."""
    part = path.rpartition(".")[0]
    return tuple(
        leaf
        for leaf in leaves(struct)
        if leaf.offset < end and start < leaf.end and leaf.path.rpartition(".")[0] == part
    )
