"""Reads BTF, the running kernel's description of the types that it was compiled with.

Format: Documentation/bpf/btf.rst; include/uapi/linux/btf.h. A module's BTF is split: its type numbers and string
offsets continue those of vmlinux. BTF comes from a guest and is not trusted: invalid data raises BadWire.
"""

from __future__ import annotations

import struct
from array import array

import msgspec

from sysevent.decode.structs import Budget, Member, Struct, leaves
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
# Bytes of a file. The largest vmlinux has 6 MB of BTF, and one with every driver 20 MB.
_SIZE_MAX = 64 << 20
# Bytes of a name with its NUL: KSYM_NAME_LEN, which kernel/bpf/btf.c checks, too.
_NAME_MAX = 512
# Bytes of the names of all structures; a vmlinux has 0.2 MB of them.
_NAMES_MAX = 16 << 20
# Types that one structure, or all that are reachable from it, may refer to; each use of a type counts. kvm_run has
# 600 members.
_TYPES_MAX = 1 << 16
# Depth of nested structures, and of typedefs and qualifiers; more means that a type refers to itself.
_DEPTH_MAX = 64
# Bytes of an array: kernel/bpf/btf.c, "Array size overflows U32_MAX".
_ARRAY_MAX = (1 << 32) - 1


class Type(msgspec.Struct, frozen=True):
    """One type, as it is encoded in the file."""

    number: int
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
        if len(data) > _SIZE_MAX:
            raise BadWire(f"BTF of {len(data)} bytes; at most {_SIZE_MAX} are read")
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
        # Offset of each type. As a list, those of a large file would take 200 MB.
        self._at = array("I")
        self._index()
        self._named: dict[tuple[int, str], int] | None = None
        self._budget = Budget(0, "")

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

    def type(self, number: int, *, items: bool = True) -> Type:
        """Return a type by its number; 0 is void. BadWire when the number is too large.

        items: False leaves out the words of members, enumerators and parameters, of which a type can have 65535.
        """
        if number == 0:
            return Type(0, VOID, "void", 0, False, 0, ())
        if number < self._first and self._base:
            return self._base.type(number, items=items)
        if not self._first <= number < self.end:
            raise BadWire(f"BTF that refers to type {number}; there are {self.end}")
        at = self._at[number - self._first]
        name, info, value = _TYPE.unpack_from(self._types, at)
        kind = info >> 24 & 31
        number_of_words = (_length(info) - _TYPE.size) // 4 if items else _FOLLOWING.get(kind, 0)
        words = struct.unpack_from(f"<{number_of_words}I", self._types, at + _TYPE.size)
        return Type(number, kind, self.string(name), info & 0xFFFF, bool(info >> 31), value, words)

    def string(self, at: int) -> str:
        """Return a name by its offset, with unprintable characters as "?".

        BadWire when the offset is too large, or the name is longer than the kernel allows.
        """
        if at < self._strings_before and self._base:
            return self._base.string(at)
        begin = at - self._strings_before
        end = self._strings.find(b"\0", begin, begin + _NAME_MAX)
        if end < 0:
            raise BadWire(
                f"BTF that refers to a name at {at} of more than {_NAME_MAX} bytes, or beyond the end; "
                f"there are {self.string_end} bytes of names"
            )
        text = self._strings[begin:end].decode("ascii", "replace")
        return text if text.isprintable() else printable(text)

    def struct(self, name: str) -> Struct | None:
        """Return the struct or union called name, of this file or of its base; None if there is none."""
        self._budget = _budget(name)
        return self._struct(name)

    def _struct(self, name: str) -> Struct | None:
        if self._named is None:
            self._named = self._name_structs()
        for kind, word in ((STRUCT, "struct"), (UNION, "union")):
            if number := self._named.get((kind, name), 0):
                found = self.type(number)
                return Struct(name, word, found.value, self._members(found, 0))
        if self._base is None:
            return None
        self._base._budget = self._budget
        return self._base._struct(name)

    def _name_structs(self) -> dict[tuple[int, str], int]:
        """Return the number of each struct and union by kind and name, of this file only."""
        named: dict[tuple[int, str], int] = {}
        left = _NAMES_MAX
        for number, at in enumerate(self._at, self._first):
            offset, info, _ = _TYPE.unpack_from(self._types, at)
            if (kind := info >> 24 & 31) in (STRUCT, UNION):
                name = self.string(offset)
                left -= len(name)
                if left < 0:
                    raise BadWire(f"BTF whose structures have names of more than {_NAMES_MAX} bytes in total")
                # The kernel may have several of one name. The first is the one that is meant here.
                named.setdefault((kind, name), number)
        return named

    def reachable(self, name: str) -> dict[str, Struct]:
        """Return the structure called name and all named ones in it, at any depth; empty if there is none."""
        self._budget = _budget(name)
        found: dict[str, Struct] = {}
        wanted = [name]
        while wanted:
            struct_name = wanted.pop()
            if struct_name not in found and (one := self._struct(struct_name)):
                found[struct_name] = one
                wanted += [leaf.ref for leaf in leaves(one) if leaf.ref]
        return found

    def _members(self, of: Type, depth: int) -> tuple[Member, ...]:
        if depth > _DEPTH_MAX:
            raise BadWire(f"BTF whose struct {of.name} contains itself")
        found = []
        self._budget.spend(of.vlen)
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
                    inner = self._members(self.type(core.number), depth + 1)
            found.append(Member(self.string(name), byte, size, text, bits, kind, ref, inner))
        return tuple(found)

    def _describe(self, number: int, depth: int = 0) -> tuple[str, int, Type | None, str]:
        """Return a type as written in C, its size, its struct or union if any, and the typedef that names that one.

        The last is "" unless the struct or union itself has no name.
        """
        if depth > _DEPTH_MAX:
            raise BadWire(f"BTF whose type {number} refers to itself")
        self._budget.spend(1)
        found = self.type(number, items=False)
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
            _check_array(size * elements)
            return f"{base}[{elements or ''}]{bracket}{inner}", size * elements, core, origin
        if found.kind == PTR:
            to = self.type(found.value, items=False)
            text = "function" if to.kind == FUNC_PROTO else self._describe(found.value, depth + 1)[0]
            return f"{text} *", 8, None, ""
        if found.kind in (ENUM, ENUM64):
            return f"enum {found.name}".strip(), found.value, None, ""
        if found.kind == FWD:
            return f"{'union' if found.flag else 'struct'} {found.name}", 0, None, ""
        size = found.value if found.kind in (INT, FLOAT) else 1
        return found.name, size, None, ""


def _check_array(size: int) -> None:
    if size > _ARRAY_MAX:
        raise BadWire(f"BTF with an array of {size} bytes")


def _budget(name: str) -> Budget:
    return Budget(_TYPES_MAX, f"BTF whose struct {name} refers to more than {_TYPES_MAX} types in total")


def _length(info: int) -> int:
    """Return the bytes of a type with these info bits; BadWire for an unknown kind."""
    kind, vlen = info >> 24 & 31, info & 0xFFFF
    if not 0 < kind <= ENUM64:
        raise BadWire(f"BTF with a type of the unknown kind {kind}")
    fixed = _FOLLOWING.get(kind, 0)
    return _TYPE.size + 4 * (fixed + _ITEMS.get(kind, 0) * vlen)
