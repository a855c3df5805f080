"""C structures as bytes: what DWARF, BTF and the compiler say, in one form that can be compared.

An anonymous struct or union keeps its members inside; a named one is only referred to, since it is a
structure of its own. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec


class Member(msgspec.Struct, frozen=True):
    """One member of a structure."""

    name: str  # "" for an anonymous struct or union
    offset: int  # bytes from the beginning of what holds it
    size: int  # bytes, of all elements of an array together; 0 for a flexible array
    type: str  # as C writes it: "__u64[16]", "struct kvm_xen_exit", "union"
    bits: tuple[int, int] | None = None  # first bit and width of a bit-field; the bit is counted from offset
    kind: str = ""  # "struct" or "union" when it is anonymous and its members follow, of one array element
    ref: str = ""  # the structure's name when it is a named one, or an array of them
    members: tuple[Member, ...] = ()


class Struct(msgspec.Struct, frozen=True):
    """One named struct or union."""

    name: str
    kind: str  # "struct" or "union"
    size: int
    members: tuple[Member, ...]


class Layout(msgspec.Struct, frozen=True):
    """Everything that one set of headers means to one ABI."""

    structs: dict[str, Struct]
    constants: dict[str, int] = {}  # KVM_...; as unsigned 64-bit numbers
    asserted: dict[str, int] = {}  # what the compiler's own offsetof gave, by path


class Leaf(msgspec.Struct, frozen=True):
    """A member by its full path, with its place in the outermost structure."""

    path: str  # "xen.u.hcall.params"
    offset: int
    size: int
    type: str
    bits: tuple[int, int] | None
    ref: str

    @property
    def end(self) -> int:
        return self.offset + self.size


class Hole(msgspec.Struct, frozen=True):
    """Bytes that no member covers: padding that the compiler put there."""

    where: str  # path of the struct it is in, "" for the outermost
    after: str  # path of the member before it
    offset: int
    size: int
    tail: bool  # at the end of that struct

    @property
    def end(self) -> int:
        return self.offset + self.size


def leaves(
    struct: Struct, known: Mapping[str, Struct] | None = None, *, into: frozenset[str] = frozenset()
) -> Iterator[Leaf]:
    """The members that hold data, in order; those of named structures too when known has them.

    Of an array of structures the first element stands for all: its members' paths hold "[]".
    """
    yield from _leaves(struct.members, "", 0, known or {}, into | {struct.name})


def _leaves(
    members: tuple[Member, ...], prefix: str, base: int, known: Mapping[str, Struct], seen: frozenset[str]
) -> Iterator[Leaf]:
    for member in members:
        path = join(prefix, member.name)
        inner = path + ("[]" if "[" in member.type else "")
        at = base + member.offset
        if member.kind:
            yield from _leaves(member.members, inner, at, known, seen)
        elif member.ref in known and member.ref not in seen:
            yield from _leaves(known[member.ref].members, inner, at, known, seen | {member.ref})
        else:
            yield Leaf(path, at, member.size, member.type, member.bits, member.ref)


def join(prefix: str, name: str) -> str:
    """A path one step longer; an anonymous member adds nothing, as in C."""
    return f"{prefix}.{name}" if prefix and name else prefix or name


def holes(struct: Struct) -> tuple[Hole, ...]:
    """The implicit padding of a structure and of the anonymous ones inside it."""
    return tuple(_holes(struct.kind, struct.members, struct.size, "", 0))


def _holes(kind: str, members: tuple[Member, ...], size: int, path: str, base: int) -> Iterator[Hole]:
    for member in members:
        if member.kind:
            element = member.size // count(member.type) if member.size else 0
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


def count(type_: str) -> int:
    """How many elements a member of this type has: 16 of "__u64[4][4]"; 1 when it is no array."""
    total = 1
    for part in type_.split("[")[1:]:
        number = part.partition("]")[0]
        total *= int(number) if number.isdecimal() else 0
    return max(total, 1)


def find(struct: Struct, path: str, known: Mapping[str, Struct] | None = None) -> Leaf | None:
    """The member at a path: a leaf, or an anonymous struct or union by its name. None when there is none."""
    return _find(struct.members, path, 0, known or {})


def _find(members: tuple[Member, ...], path: str, base: int, known: Mapping[str, Struct]) -> Leaf | None:
    head, _, rest = path.partition(".")
    for member in members:
        at = base + member.offset
        inner = member.members or (known[member.ref].members if member.ref in known else ())
        if not member.name:
            found = _find(inner, path, at, known)
        elif member.name != head:
            continue
        elif rest:
            found = _find(inner, rest, at, known)
        else:
            found = Leaf(path, at, member.size, member.type, member.bits, member.ref)
        if found:
            return Leaf(path, found.offset, found.size, found.type, found.bits, found.ref)
    return None
