"""Reads BTF, the running kernel's description of the types that it was compiled with.

Format: Documentation/bpf/btf.rst; include/uapi/linux/btf.h. A module's BTF is split: its type numbers and string
offsets continue those of vmlinux. BTF comes from a guest and is not trusted: invalid data raises BadWire.
"""

from __future__ import annotations

import struct

import msgspec

from sysevent.decode.structs import Member, Struct, leaves
from sysevent.errors import BadWire
from sysevent.text import printable

MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")

(VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE) = range(10)
(CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64) = range(10, 20)
_MODIFIERS = (VOLATILE, CONST, RESTRICT, TYPE_TAG)
# 32-bit words after the three of every type, and words for each of its vlen items.
_FOLLOWING = {INT: 1, ARRAY: 3, VAR: 1, DECL_TAG: 1}
_ITEMS = {STRUCT: 3, UNION: 3, ENUM: 2, FUNC_PROTO: 2, DATASEC: 3, ENUM64: 3}
# Members of one structure, with those of the anonymous structures in it; each use of such a structure counts.
_MEMBERS_MAX = 1 << 16
# Depth of nested structures, and of typedefs and qualifiers; more means that a type refers to itself.
_DEPTH_MAX = 64


class Type(msgspec.Struct, frozen=True):
    """One type, as it is encoded in the file."""

    kind: int
    name: str
    vlen: int
    # kind_flag: bit-fields in a struct, signed in an enum, union in a FWD.
    flag: bool
    # Size in bytes, or the number of the type that it refers to.
    value: int
    # The 32-bit words that follow, by kind.
    words: tuple[int, ...]


class Btf:
    """The types of vmlinux, or of a module together with those of vmlinux."""

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        """Read data; base is the BTF of vmlinux for that of a module. BadWire when data is not valid BTF."""
        if len(data) < _HEADER.size:
            raise BadWire(f"BTF of {len(data)} bytes, too short for its header")
        magic, version, _, header, type_at, type_size, string_at, string_size = _HEADER.unpack_from(data)
        if magic != MAGIC or version != 1:
            raise BadWire(f"not BTF of version 1: it begins with {data[:3].hex()}")
        if header < _HEADER.size or header + max(type_at + type_size, string_at + string_size) > len(data):
            raise BadWire("BTF whose sections lie beyond its end")
        self._base = base
        self._first = base.end if base else 1
        self._strings_before = base.string_end if base else 0
        self._strings = data[header + string_at : header + string_at + string_size]
        self._types = data[header + type_at : header + type_at + type_size]
        self._at: list[int] = []
        self._index()
        self._named: dict[tuple[int, str], int] | None = None
        self._members_left = _MEMBERS_MAX

    @property
    def end(self) -> int:
        """The number after that of the last type."""
        return self._first + len(self._at)

    @property
    def string_end(self) -> int:
        """The offset after the last string."""
        return self._strings_before + len(self._strings)

    def _index(self) -> None:
        at, size = 0, len(self._types)
        while at < size:
            if size - at < _TYPE.size:
                raise BadWire("BTF that ends within a type")
            info = _TYPE.unpack_from(self._types, at)[1]
            length = _length(info)
            if at + length > size:
                raise BadWire(f"BTF whose type {self.end} lies beyond its end")
            self._at.append(at)
            at += length

    def type(self, number: int) -> Type:
        """Return a type by its number; 0 is void. BadWire when the number is too large."""
        if number == 0:
            return Type(VOID, "void", 0, False, 0, ())
        if number < self._first and self._base:
            return self._base.type(number)
        if not self._first <= number < self.end:
            raise BadWire(f"BTF that refers to type {number}; there are {self.end}")
        at = self._at[number - self._first]
        name, info, value = _TYPE.unpack_from(self._types, at)
        words = struct.unpack_from(f"<{(_length(info) - _TYPE.size) // 4}I", self._types, at + _TYPE.size)
        return Type(info >> 24 & 31, self.string(name), info & 0xFFFF, bool(info >> 31), value, words)

    def string(self, at: int) -> str:
        """Return a name by its offset, with unprintable characters as "?"; BadWire when the offset is too large."""
        if at < self._strings_before and self._base:
            return self._base.string(at)
        begin = at - self._strings_before
        end = self._strings.find(b"\0", begin)
        if begin < 0 or end < 0:
            raise BadWire(f"BTF that refers to a name at {at}; there are {self.string_end} bytes of them")
        text = self._strings[begin:end].decode("ascii", "replace")
        return text if text.isprintable() else printable(text)

    def struct(self, name: str) -> Struct | None:
        """Return the struct or union called name, of this file or of its base; None if there is none."""
        if self._named is None:
            self._named = {}
            for number in range(self._first, self.end):
                info = _TYPE.unpack_from(self._types, self._at[number - self._first])[1]
                if (kind := info >> 24 & 31) in (STRUCT, UNION):
                    # The kernel may have several of one name. The first is the one that is meant here.
                    self._named.setdefault((kind, self.type(number).name), number)
        for kind, word in ((STRUCT, "struct"), (UNION, "union")):
            if number := self._named.get((kind, name), 0):
                found = self.type(number)
                self._members_left = _MEMBERS_MAX
                return Struct(name, word, found.value, self._members(found, 0))
        return self._base.struct(name) if self._base else None

    def reachable(self, name: str) -> dict[str, Struct]:
        """Return the structure called name and all named ones in it, at any depth; empty if there is none."""
        found: dict[str, Struct] = {}
        wanted = [name]
        while wanted:
            struct_name = wanted.pop()
            if struct_name not in found and (one := self.struct(struct_name)):
                found[struct_name] = one
                wanted += [leaf.ref for leaf in leaves(one) if leaf.ref]
        return found

    def _members(self, of: Type, depth: int) -> tuple[Member, ...]:
        if depth > _DEPTH_MAX:
            raise BadWire(f"BTF whose struct {of.name} contains itself")
        found = []
        self._members_left -= of.vlen
        if self._members_left < 0:
            raise BadWire(f"BTF whose struct {of.name} has more than {_MEMBERS_MAX} members in total")
        for at in range(0, 3 * of.vlen, 3):
            name, number, offset = of.words[at : at + 3]
            text, size, core, origin = self._describe(number)
            width, bit = (offset >> 24, offset & 0xFFFFFF) if of.flag else (0, offset)
            byte, bits = bit // 8, None
            if width:
                byte = bit // 8 // max(size, 1) * size
                bits = (bit - 8 * byte, width)
            kind, ref, inner = "", "", tuple[Member, ...]()
            if core is not None and core.kind in (STRUCT, UNION):
                if origin or core.name:
                    ref = origin or core.name
                else:
                    kind = "struct" if core.kind == STRUCT else "union"
                    inner = self._members(core, depth + 1)
            found.append(Member(self.string(name), byte, size, text, bits, kind, ref, inner))
        return tuple(found)

    def _describe(self, number: int, depth: int = 0) -> tuple[str, int, Type | None, str]:
        """Return a type as written in C, its size, its struct or union if any, and the typedef that names that one.

        The last is "" unless the struct or union itself has no name.
        """
        if depth > _DEPTH_MAX:
            raise BadWire(f"BTF whose type {number} refers to itself")
        found = self.type(number)
        if found.kind in _MODIFIERS:
            return self._describe(found.value, depth + 1)
        if found.kind == TYPEDEF:
            text, size, core, origin = self._describe(found.value, depth + 1)
            if core is not None and not core.name and not origin and "[" not in text:
                return found.name, size, core, found.name
            return (found.name if "[" not in text else text), size, core, origin
        if found.kind in (STRUCT, UNION):
            word = "struct" if found.kind == STRUCT else "union"
            return f"{word} {found.name}".strip(), found.value, found, ""
        if found.kind == ARRAY:
            element, _, elements = found.words
            text, size, core, origin = self._describe(element, depth + 1)
            # C writes the outermost dimension first; BTF has an array whose element is the inner array.
            base, bracket, inner = text.partition("[")
            return f"{base}[{elements or ''}]{bracket}{inner}", size * elements, core, origin
        if found.kind == PTR:
            to = self.type(found.value)
            text = "function" if to.kind == FUNC_PROTO else self._describe(found.value, depth + 1)[0]
            return f"{text} *", 8, None, ""
        if found.kind in (ENUM, ENUM64):
            return f"enum {found.name}".strip(), found.value, None, ""
        if found.kind == FWD:
            return f"{'union' if found.flag else 'struct'} {found.name}", 0, None, ""
        size = found.value if found.kind in (INT, FLOAT) else 1
        return found.name, size, None, ""


def _length(info: int) -> int:
    """Return the bytes of a type with these info bits; BadWire for an unknown kind."""
    kind, vlen = info >> 24 & 31, info & 0xFFFF
    if not 0 < kind <= ENUM64:
        raise BadWire(f"BTF with a type of the unknown kind {kind}")
    fixed = _FOLLOWING.get(kind, 0)
    return _TYPE.size + 4 * (fixed + _ITEMS.get(kind, 0) * vlen)
