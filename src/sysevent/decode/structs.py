"""Layouts of C structures, from DWARF, BTF or the compiler, in one form for comparison.

A member that is an anonymous struct or union has members itself; one that is a named structure refers to it by name.
Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from sysevent.errors import BadWire

# Members that one walk over a structure visits; kvm_run has 600. A structure that a guest reports may contain
# structures that each contain another one twice, and so double at each level.
_VISITS_MAX = 1 << 16
# Structures in one another.
_DEPTH_MAX = 100


class Budget:
    """How much of something may still be used before BadWire is raised."""

    def __init__(self, amount: int, exceeded: str) -> None:
        """exceeded is the message of BadWire."""
        self._left = amount
        self._exceeded = exceeded

    def spend(self, amount: int) -> None:
        """Use up an amount; BadWire when less was left."""
        self._left -= amount
        if self._left < 0:
            raise BadWire(self._exceeded)


class Member(msgspec.Struct, frozen=True):
    """One member of a structure."""

    # "" for an anonymous struct or union.
    name: str
    # Bytes from the start of the structure that contains it.
    offset: int
    # Bytes, of all elements of an array together; 0 for a flexible array.
    size: int
    # As written in C: "__u64[16]", "struct kvm_xen_exit", "union".
    type: str
    # First bit and width of a bit-field; the bit is counted from offset.
    bits: tuple[int, int] | None = None
    # "struct" or "union" for an anonymous one; members has those of one array element then.
    kind: str = ""
    # Name of the structure, if the member is a named one or an array of them.
    ref: str = ""
    members: tuple[Member, ...] = ()


class Struct(msgspec.Struct, frozen=True):
    """One named struct or union."""

    name: str
    # "struct" or "union".
    kind: str
    # Bytes.
    size: int
    members: tuple[Member, ...]


class Layout(msgspec.Struct, frozen=True):
    """The structures and constants of one set of headers, for one ABI."""

    # By name.
    structs: dict[str, Struct]
    # KVM_*, as unsigned 64-bit numbers.
    constants: dict[str, int] = {}
    # Offsets in struct kvm_run as the compiler's offsetof gives them, by path, and "sizeof".
    asserted: dict[str, int] = {}


class Leaf(msgspec.Struct, frozen=True):
    """A member by its full path, with its offset in the outermost structure; other fields as in Member."""

    # "xen.u.hcall.params"
    path: str
    offset: int
    size: int
    type: str
    bits: tuple[int, int] | None
    ref: str

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.size


class Hole(msgspec.Struct, frozen=True):
    """Bytes that no member covers: padding by the compiler."""

    # Path of the struct that contains it; "" for the outermost.
    where: str
    # Path of the member before it.
    after: str
    # In the outermost structure.
    offset: int
    size: int
    # True: at the end of that struct.
    tail: bool

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.size


def leaves(struct: Struct, known: Mapping[str, Struct] | None = None) -> Iterator[Leaf]:
    """Yield the members that hold data, in order, and instead of a named structure in known its members.

    Of an array of structures the first element's members are given; their paths contain "[]". BadWire when there
    are too many, as in structures that a guest made up.
    """
    yield from _leaves(struct.members, "", 0, known or {}, (struct.name,), _visits(struct))


def _visits(struct: Struct) -> Budget:
    return Budget(_VISITS_MAX, f"struct {struct.name} has more than {_VISITS_MAX} members at all depths")


def _check_depth(depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise BadWire(f"a structure with more than {_DEPTH_MAX} structures in one another")


def _leaves(
    members: tuple[Member, ...],
    prefix: str,
    base: int,
    known: Mapping[str, Struct],
    seen: tuple[str, ...],
    budget: Budget,
) -> Iterator[Leaf]:
    """seen has the structures around these members; "" stands for one without a name."""
    _check_depth(len(seen))
    for member in members:
        budget.spend(1)
        path = join(prefix, member.name)
        inner = path + ("[]" if "[" in member.type else "")
        at = base + member.offset
        if member.kind:
            yield from _leaves(member.members, inner, at, known, (*seen, ""), budget)
        elif member.ref in known and member.ref not in seen:
            yield from _leaves(known[member.ref].members, inner, at, known, (*seen, member.ref), budget)
        else:
            yield Leaf(path, at, member.size, member.type, member.bits, member.ref)


def join(prefix: str, name: str) -> str:
    """Return the path of a member; an anonymous member has the path of its structure, as in C."""
    return f"{prefix}.{name}" if prefix and name else prefix or name


def holes(struct: Struct) -> tuple[Hole, ...]:
    """Return the implicit padding of a structure and of the anonymous structures in it."""
    return tuple(_holes(struct.kind, struct.members, struct.size, "", 0))


def _holes(kind: str, members: tuple[Member, ...], size: int, path: str, base: int) -> Iterator[Hole]:
    for member in members:
        if member.kind:
            element = member.size // element_count(member.type) if member.size else 0
            inner = join(path, member.name)
            yield from _holes(member.kind, member.members, element, inner, base + member.offset)
    if kind == "union" or not members:
        return
    at, last = 0, ""
    for member in members:
        if member.offset > at:
            yield Hole(path, last, base + at, member.offset - at, tail=False)
        end = member.offset + member.size
        if member.bits:
            end = member.offset + (sum(member.bits) + 7) // 8
        if end >= at:
            at, last = end, join(path, member.name)
    if at < size:
        yield Hole(path, last, base + at, size - at, tail=True)


def element_count(type_: str) -> int:
    """Return the number of elements of a type: 16 for "__u64[4][4]", 1 if it is not an array."""
    total = 1
    for part in type_.split("[")[1:]:
        number = part.partition("]")[0]
        total *= int(number) if number.isdecimal() else 0
    return max(total, 1)


def find(struct: Struct, path: str, known: Mapping[str, Struct] | None = None) -> Leaf | None:
    """Return the member at a path: a leaf, or a struct or union without a tag; None if there is none.

    known has the named structures that the path may lead into. BadWire as in leaves().
    """
    return _find(struct.members, path, 0, known or {}, 0, _visits(struct))


def _find(
    members: tuple[Member, ...],
    path: str,
    base: int,
    known: Mapping[str, Struct],
    depth: int,
    budget: Budget,
) -> Leaf | None:
    _check_depth(depth)
    head, _, rest = path.partition(".")
    for member in members:
        budget.spend(1)
        at = base + member.offset
        inner = member.members or (known[member.ref].members if member.ref in known else ())
        if not member.name:
            found = _find(inner, path, at, known, depth + 1, budget)
        elif member.name != head:
            continue
        elif rest:
            found = _find(inner, rest, at, known, depth + 1, budget)
        else:
            found = Leaf(path, at, member.size, member.type, member.bits, member.ref)
        if found:
            return Leaf(path, found.offset, found.size, found.type, found.bits, found.ref)
    return None
