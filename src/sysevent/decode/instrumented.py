"""Finds the points of a vmlinux at which KCOV records, and the line of the source of each.

A point is a call of __sanitizer_cov_trace_pc(), which the compiler puts at the beginning of each basic block of an
instrumented file (gcc, -fsanitize-coverage=trace-pc). KCOV records the address behind the call. Only the compilation
units that are asked for are read: those of a whole kernel take minutes.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from sysevent.arches import ARCHITECTURES, ArchName
from sysevent.decode.elf import damage_as
from sysevent.decode.structs import Budget
from sysevent.errors import BadWire, ImageError

_TRACE = "__sanitizer_cov_trace_pc"
# Compilation units of a kernel, and entries of those that are read; x86.c has 60,000.
_UNITS_MAX, _ENTRIES_MAX = 1 << 16, 1 << 21
_FUNCTIONS = ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine")
_DEPTH_MAX = 256
# What an instance of a function refers to for its name, at most so many times.
_ORIGINS, _ORIGINS_MAX = ("DW_AT_abstract_origin", "DW_AT_specification"), 4


class Point(msgspec.Struct, frozen=True):
    """A place in the source at which the kernel can record that it was there."""

    # In the kernel tree. Of code that is inlined from a header, it is the place of the call.
    path: str
    line: int
    # The innermost function of the file, inlined ones included.
    function: str


def points(vmlinux: Path, paths: Sequence[str]) -> dict[int, Point]:
    """Return the points of some source files, by the address that KCOV records for each.

    ImageError if the file has no debug information, no KCOV, or cannot be read.
    """

    def damaged(why: str) -> ImageError:
        return ImageError(f"{vmlinux}: the lines of its code cannot be read: {why}")

    with damage_as(damaged), vmlinux.open("rb") as file:
        elf = ELFFile(file)
        if not elf.has_dwarf_info():
            raise ImageError(
                f"{vmlinux} has no debug information: set CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y"
            )
        traced = _address(elf, _TRACE)
        if traced is None:
            raise ImageError(f"{vmlinux} has no KCOV: set CONFIG_KCOV=y")
        code, dwarf = _Code(elf, traced), elf.get_dwarf_info()
        found: dict[int, Point] = {}
        budget = Budget(_ENTRIES_MAX, f"more than {_ENTRIES_MAX} entries")
        for unit in _units(dwarf, paths):
            found |= _Unit(dwarf, unit, paths, budget).points(code)
        return found


def _address(elf: Any, name: str) -> int | None:
    table = elf.get_section_by_name(".symtab")
    symbols = table.get_symbol_by_name(name) if table else None
    return int(symbols[0]["st_value"]) if symbols else None


def _units(dwarf: Any, paths: Sequence[str]) -> Iterator[Any]:
    for number, unit in enumerate(dwarf.iter_CUs()):
        if number > _UNITS_MAX:
            raise BadWire(f"more than {_UNITS_MAX} compilation units")
        if _in_tree(_name(unit.get_top_DIE()), paths):
            yield unit


def _in_tree(name: str, paths: Sequence[str]) -> str:
    """Return which of some paths in a kernel tree a file is, whose name may begin with that of the tree; "" if none."""
    return next((path for path in paths if name == path or name.endswith(f"/{path}")), "")


def _name(die: Any) -> str:
    found = die.attributes.get("DW_AT_name")
    return found.value.decode("utf-8", "replace") if found else ""


class _Code:
    """The instructions of an ELF file."""

    def __init__(self, elf: Any, traced: int) -> None:
        """traced: the address of the function whose calls are looked for."""
        self._parts = [
            (segment["p_vaddr"], segment)
            for segment in elf.iter_segments("PT_LOAD")
            if segment["p_flags"] & 1
        ]
        self._calls = {ARCHITECTURES[name].elf_machine: calls for name, calls in _CALLS.items()}[
            elf["e_machine"]
        ]
        self._traced = traced

    def returns(self, low: int, high: int) -> list[int]:
        """Return the addresses behind all calls of the function between two addresses."""
        for start, segment in self._parts:
            if start <= low < high <= start + segment["p_filesz"]:
                segment.stream.seek(segment["p_offset"] + low - start)
                return list(self._calls(segment.stream.read(high - low), low, self._traced))
        return []


def _calls_arm64(code: bytes, at: int, target: int) -> Iterator[int]:
    """BL: 100101 and a distance in words (Arm ARM, C6.2)."""
    for number, (word,) in enumerate(struct.iter_unpack("<I", code[: len(code) & ~3])):
        if word >> 26 == 0b100101 and at + 4 * number + _signed(word & 0x3FFFFFF, 26) * 4 == target:
            yield at + 4 * number + 4


def _calls_riscv(code: bytes, at: int, target: int) -> Iterator[int]:
    """JAL ra, or AUIPC and JALR with ra (the RISC-V unprivileged ISA, 2.5)."""
    for offset in range(0, len(code) - 3, 2):
        (word,) = struct.unpack_from("<I", code, offset)
        if word & 0xFFF == 0x0EF:
            bits = (
                word >> 31 << 20
                | (word >> 12 & 0xFF) << 12
                | (word >> 20 & 1) << 11
                | (word >> 21 & 0x3FF) << 1
            )
            if at + offset + _signed(bits, 21) == target:
                yield at + offset + 4
        elif word & 0xFFF == 0x097 and offset + 8 <= len(code):
            (jump,) = struct.unpack_from("<I", code, offset + 4)
            distance = _signed(word & 0xFFFFF000, 32) + _signed(jump >> 20, 12)
            if jump & 0xFFFFF == 0x080E7 and at + offset + distance & 2**64 - 1 == target:
                yield at + offset + 8


def _calls_x86(code: bytes, at: int, target: int) -> Iterator[int]:
    """CALL rel32 (Intel SDM, CALL). What only looks like one has a target that is another."""
    offset = code.find(b"\xe8")
    while 0 <= offset <= len(code) - 5:
        (distance,) = struct.unpack_from("<i", code, offset + 1)
        if at + offset + 5 + distance == target:
            yield at + offset + 5
        offset = code.find(b"\xe8", offset + 1)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


_CALLS: dict[ArchName, Callable[[bytes, int, int], Iterator[int]]] = {
    "arm64": _calls_arm64,
    "riscv64": _calls_riscv,
    "x86_64": _calls_x86,
}


class _Frame(msgspec.Struct, frozen=True):
    """To which function of a file a piece of code belongs."""

    function: str = ""
    # Path and line of the call, for code that is inlined from another file; None: the line table has the line.
    call: tuple[str, int] | None = None


class _Unit:
    """One compilation unit."""

    def __init__(self, dwarf: Any, unit: Any, paths: Sequence[str], budget: Budget) -> None:
        self._dwarf, self._unit, self._paths, self._budget = dwarf, unit, paths, budget
        self._base = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        self._program = dwarf.line_program_for_CU(unit)
        self._files = self._numbered()

    def points(self, code: _Code) -> dict[int, Point]:
        """Return its points in the files that were asked for."""
        top = self._unit.get_top_DIE()
        found = sorted({after for low, high in self._ranges(top) for after in code.returns(low, high)})
        frames = [_Frame()] * len(found)
        self._set_frames(top, _Frame(), found, frames, 0)
        lines = self._lines()
        starts = [row[0] for row in lines]
        points = {}
        for address, frame in zip(found, frames, strict=True):
            # The call itself, not what is behind it.
            row = bisect.bisect_right(starts, address - 1) - 1
            path, line = frame.call or (lines[row][1:] if row >= 0 else ("", 0))
            if path and line and frame.function:
                points[address] = Point(path, line, frame.function)
        return points

    def _set_frames(
        self, die: Any, outer: _Frame, found: list[int], frames: list[_Frame], depth: int
    ) -> None:
        """Set the frame of each address below an entry, outer ones first."""
        if depth > _DEPTH_MAX:
            raise BadWire("functions that contain themselves")
        for child in die.iter_children():
            self._budget.spend(1)
            frame = outer
            if child.tag in _FUNCTIONS:
                frame = self._frame(child, outer)
                for low, high in self._ranges(child):
                    first, last = bisect.bisect_right(found, low), bisect.bisect_right(found, high)
                    frames[first:last] = [frame] * max(0, last - first)
            if child.has_children and (child.tag in _FUNCTIONS or child.tag == "DW_TAG_lexical_block"):
                self._set_frames(child, frame, found, frames, depth + 1)

    def _frame(self, die: Any, outer: _Frame) -> _Frame:
        """Return the frame of a function: that of its caller if it is inlined from a file that was not asked for."""
        origin = die
        for _ in range(_ORIGINS_MAX):
            of = next((one for one in _ORIGINS if one in origin.attributes), None)
            if of is None or _name(origin):
                break
            origin = origin.get_DIE_from_attribute(of)
        if self._number(origin, "DW_AT_decl_file") in self._files:
            return _Frame(_name(origin))
        called = self._files.get(self._number(die, "DW_AT_call_file"))
        return _Frame(outer.function, (called, self._number(die, "DW_AT_call_line"))) if called else outer

    @staticmethod
    def _number(die: Any, attribute: str) -> int:
        found = die.attributes.get(attribute)
        return int(found.value) if found else -1

    def _ranges(self, die: Any) -> Iterator[tuple[int, int]]:
        """Yield the first address, and the one behind the last, of each part of the code of an entry."""
        attributes = die.attributes
        if "DW_AT_ranges" in attributes:
            base = int(self._base.value) if self._base else 0
            lists = self._dwarf.range_lists()
            for entry in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, cu=self._unit):
                if isinstance(entry, BaseAddressEntry):
                    base = int(entry.base_address)
                    continue
                start = 0 if getattr(entry, "is_absolute", False) else base
                yield start + entry.begin_offset, start + entry.end_offset
        elif "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            yield low, high.value if high.form == "DW_FORM_addr" else low + high.value

    def _lines(self) -> list[tuple[int, str, int]]:
        """Return from which address on the code is that of which line, in order: address, path, line.

        The path is "" for a file that was not asked for, and behind the end of a part.
        """
        rows = []
        for entry in self._program.get_entries():
            if entry.state is not None:
                state = entry.state
                path = "" if state.end_sequence else self._files.get(state.file, "")
                rows.append((state.address, path, int(state.line)))
        # Of several rows with one address the last one counts.
        rows.sort(key=lambda row: row[0])
        return rows

    def _numbered(self) -> dict[int, str]:
        """Return which of the paths that were asked for the numbers of files mean."""
        header = self._program.header
        # Before DWARF 5 files and directories count from 1, and directory 0 is that of the compilation.
        old = header["version"] < 5
        directories = [b"", *header["include_directory"]] if old else header["include_directory"]
        found = {}
        for number, entry in enumerate(header["file_entry"], 1 if old else 0):
            directory = directories[entry.dir_index] if entry.dir_index < len(directories) else b""
            name = b"/".join(part for part in (directory, entry.name) if part).decode("utf-8", "replace")
            if path := _in_tree(name, self._paths):
                found[number] = path
        return found
