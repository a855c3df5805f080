"""Reads structures from the DWARF of a linked program; pyelftools cannot relocate that of a RISC-V object.

DWARF 5: section 5.7 (structures, unions and their members), 5.5 (arrays), 5.3 (modifiers).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from sysevent.decode.elf import damage_as
from sysevent.decode.structs import Budget, Member, Struct
from sysevent.errors import BadWire, BuildFailed

_AGGREGATES = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union"}
_TRANSPARENT = ("DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type")
# Entries that one file may have, each use of a type counted; the headers of KVM lead to 20000.
_ENTRIES_MAX = 1 << 19
# Depth of nested types; more means that a type refers to itself.
_DEPTH_MAX = 64
# Bytes of an array, as in decode/btf.py.
_ARRAY_MAX = (1 << 32) - 1


def structs(path: Path) -> tuple[dict[str, Struct], dict[str, int]]:
    """Return every named structure by its name, and the value of every enumerator, as an unsigned 64-bit number.

    BuildFailed when the program has no DWARF, or it cannot be read; BadWire when it has too many types, or types that
    refer to themselves.
    """

    def damaged(why: str) -> BuildFailed:
        return BuildFailed(f"{path}: its DWARF cannot be read: {why}")

    with damage_as(damaged), path.open("rb") as file:
        elf = ELFFile(file)
        if not elf.has_dwarf_info():
            raise BuildFailed(f"{path} has no DWARF: check that the compiler was called with -g")
        reader = _Reader(elf.get_dwarf_info())
        return reader.structs, reader.enumerators


class _Reader:
    """One pass over the compilation units; the types of members are looked up on the way."""

    def __init__(self, dwarf: Any) -> None:
        self.structs: dict[str, Struct] = {}
        self.enumerators: dict[str, int] = {}
        self._budget = Budget(_ENTRIES_MAX, f"more than {_ENTRIES_MAX} entries")
        for unit in dwarf.iter_CUs():
            for die in unit.iter_DIEs():
                self._budget.spend(1)
                if die.tag in _AGGREGATES and (name := _name(die)) and _complete(die):
                    self._keep(name, die)
                elif die.tag == "DW_TAG_typedef" and (name := _name(die)):
                    of = _type(die)
                    if of is not None and of.tag in _AGGREGATES and not _name(of):
                        self._keep(name, of)
                elif die.tag == "DW_TAG_enumerator":
                    self.enumerators[_name(die)] = die.attributes["DW_AT_const_value"].value % 2**64

    def _keep(self, name: str, die: Any) -> None:
        self.structs[name] = Struct(name, _AGGREGATES[die.tag], _size(die), self._members(die, 0))

    def _members(self, die: Any, depth: int) -> tuple[Member, ...]:
        _check_depth(depth)
        return tuple(
            self._member(child, depth) for child in die.iter_children() if child.tag == "DW_TAG_member"
        )

    def _member(self, die: Any, depth: int) -> Member:
        self._budget.spend(1)
        offset = _number(die, "DW_AT_data_member_location")
        text, size, core = _describe(_type(die))
        bits = None
        if "DW_AT_bit_size" in die.attributes:
            first = _number(die, "DW_AT_data_bit_offset")
            # DWARF counts bits from the start of the structure, Member from that of the storage unit.
            offset = first // 8 // max(size, 1) * size
            bits = (first - 8 * offset, _number(die, "DW_AT_bit_size"))
        if core is not None and core.tag in _AGGREGATES:
            if not _name(core):
                kind = _AGGREGATES[core.tag]
                return Member(
                    _name(die), offset, size, text, bits, kind, members=self._members(core, depth + 1)
                )
            return Member(_name(die), offset, size, text, bits, ref=_name(core))
        if core is not None and core.tag == "DW_TAG_typedef":
            return Member(_name(die), offset, size, text, bits, ref=_name(core))
        return Member(_name(die), offset, size, text, bits)


def _check_depth(depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise BadWire("a type that refers to itself")


def _describe(die: Any, depth: int = 0) -> tuple[str, int, Any]:
    """Return a type as written in C, its size, and the DIE of its struct or union, or of the typedef that names it."""
    _check_depth(depth)
    if die is None:
        return "void", 1, None
    tag, name = die.tag, _name(die)
    if tag in _TRANSPARENT:
        return _describe(_type(die), depth + 1)
    if tag == "DW_TAG_typedef":
        text, size, core = _describe(_type(die), depth + 1)
        if core is not None and core.tag in _AGGREGATES and not _name(core):
            return name, size, die
        # A typedef of an array is expanded, because its element may differ between ABIs.
        return (name if "[" not in text else text), size, core
    if tag in _AGGREGATES:
        kind = _AGGREGATES[tag]
        return f"{kind} {name}".strip(), _size(die), die
    if tag == "DW_TAG_array_type":
        return _array(die, depth)
    if tag == "DW_TAG_pointer_type":
        of = _type(die)
        function = of is not None and of.tag == "DW_TAG_subroutine_type"
        return ("function" if function else _describe(of, depth + 1)[0]) + " *", _pointer(die), None
    if tag == "DW_TAG_enumeration_type":
        return f"enum {name}".strip(), _size(die), None
    return name, _size(die), None


def _array(die: Any, depth: int) -> tuple[str, int, Any]:
    text, size, core = _describe(_type(die), depth + 1)
    for bound in die.iter_children():
        if bound.tag == "DW_TAG_subrange_type":
            number = _elements(bound)
            text, size = f"{text}[{number or ''}]", size * number
            if not 0 <= size <= _ARRAY_MAX:
                raise BadWire(f"an array of {size} bytes")
    return text, size, core


def _pointer(die: Any) -> int:
    return _size(die) or int(die.cu["address_size"])


def _elements(bound: Any) -> int:
    if "DW_AT_count" in bound.attributes:
        return _number(bound, "DW_AT_count")
    return _number(bound, "DW_AT_upper_bound", -1) + 1


def _type(die: Any) -> Any:
    return die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None


def _name(die: Any) -> str:
    found = die.attributes.get("DW_AT_name")
    return found.value.decode("utf-8", "replace") if found else ""


def _complete(die: Any) -> bool:
    """Return whether a DIE is a definition: a declaration has no size."""
    return "DW_AT_byte_size" in die.attributes


def _size(die: Any) -> int:
    return _number(die, "DW_AT_byte_size")


def _number(die: Any, attribute: str, default: int = 0) -> int:
    found = die.attributes.get(attribute)
    return default if found is None or not isinstance(found.value, int) else int(found.value)
