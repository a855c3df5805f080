"""The checks of claims about layouts: each compares one kernel's headers or BTF with the frozen offsets. No I/O."""

from __future__ import annotations

from sysevent.abi import kvm_run as frozen
from sysevent.abi.kvm_run import Field
from sysevent.abi.numbers import NUMBERS
from sysevent.arches import native
from sysevent.contract import kernel_release
from sysevent.contract.layout_claim import Comparison, HeaderFacts
from sysevent.decode.structs import Layout, find, leaves
from sysevent.errors import HarnessError
from sysevent.headers.compat import Fate, known_difference
from sysevent.headers.scan import scan, shifts
from sysevent.model import Mismatch

# The name of immediate_exit when the kernel itself is compiled, since v6.11.
_UNSAFE = "immediate_exit__unsafe"


def promised_members(arch: str) -> dict[str, Field]:
    """Return the members of kvm_run whose offsets programs of an architecture have compiled in, by their paths."""
    found = {
        "immediate_exit": frozen.IMMEDIATE_EXIT,
        "exit_reason": frozen.EXIT_REASON,
        "ready_for_interrupt_injection": frozen.READY,
        "if_flag": frozen.IF_FLAG,
        "flags": frozen.RUN_FLAGS,
        "io.direction": frozen.IO_DIRECTION,
        "io.size": frozen.IO_SIZE,
        "io.port": frozen.IO_PORT,
        "io.count": frozen.IO_COUNT,
        "io.data_offset": frozen.IO_DATA_OFFSET,
        "mmio.phys_addr": frozen.MMIO_ADDRESS,
        "kvm_valid_regs": frozen.VALID_REGS,
        "kvm_dirty_regs": frozen.DIRTY_REGS,
    }
    return found | ({"debug.arch.hsr": frozen.DEBUG_HSR} if arch == "arm64" else {})


def system_event_members(headers: HeaderFacts) -> dict[str, Field]:
    """Return the members of system_event that these headers must have, by their paths."""
    if not headers.has_event_data:
        flags = frozen.old_flags(headers.userspace.u64_alignment)
        return {"system_event.type": frozen.TYPE, "system_event.flags": flags}
    whole = Field("data", frozen.DATA[0].offset, sum(item.size for item in frozen.DATA))
    return {
        "system_event.type": frozen.TYPE,
        "system_event.ndata": frozen.NDATA,
        "system_event.data": whole,
        "system_event.flags": frozen.FLAGS,
    }


def _misplaced(layout: Layout, wanted: dict[str, Field]) -> list[Mismatch]:
    """Return the members of kvm_run that are not at their place, by DWARF or BTF, or by the compiler's offsetof."""
    wrong = []
    for path, field in wanted.items():
        there = find(layout.structs["kvm_run"], path, layout.structs)
        expected = f"{field.offset}, {field.size} bytes"
        if there is None:
            wrong.append(Mismatch(path, expected, "no such member", field.span))
        elif (there.offset, there.size) != (field.offset, field.size):
            wrong.append(Mismatch(path, expected, f"{there.offset}, {there.size} bytes", field.span))
        witness = layout.asserted.get(path)
        if witness is not None and witness != field.offset:
            wrong.append(Mismatch(f"offsetof {path}", str(field.offset), str(witness), field.span))
    return wrong


def members_in_place(headers: HeaderFacts) -> Comparison:
    """Compare the members of kvm_run that every exit uses with the offsets that programs have compiled in."""
    return _misplaced(headers.layout, promised_members(headers.userspace.arch)), ""


def system_event_in_place(headers: HeaderFacts) -> Comparison:
    """Compare the members of system_event with those of their release.

    Headers that do not define capability 215, of a release before v5.18, must not have ndata.
    """
    wrong = _misplaced(headers.layout, system_event_members(headers))
    if not headers.has_event_data and find(headers.run, "system_event.ndata"):
        wrong.append(Mismatch("system_event.ndata", "none without capability 215", "a member"))
    return wrong, ""


def exits_within_union(headers: HeaderFacts) -> Comparison:
    """Check that the union has 256 bytes, and that a member that begins in the union ends in it."""
    start, end = frozen.UNION
    wrong = []
    padding = find(headers.run, "padding")
    if padding is None or (padding.offset, padding.size) != (start, end - start):
        got = f"{padding.offset}, {padding.size} bytes" if padding else "no such member"
        wrong.append(Mismatch("padding", f"{start}, {end - start} bytes", got, frozen.UNION))
    # A leaf is a member that holds data; each member of each exit is one.
    for leaf in leaves(headers.run, headers.layout.structs):
        if start <= leaf.offset < end < leaf.end:
            wrong.append(Mismatch(leaf.path, f"within {start}..{end - 1}", f"ends at {leaf.end - 1}"))
    return wrong + _misplaced(headers.layout, {"kvm_valid_regs": frozen.VALID_REGS}), ""


def constants_unchanged(headers: HeaderFacts) -> Comparison:
    """Compare the headers' constants with abi/numbers.py. Those that this release must have must be defined."""
    wrong = []
    held_to = kernel_release.parse(headers.version)
    for number in NUMBERS:
        if number.arch not in ("", headers.userspace.arch):
            continue
        got = headers.layout.constants.get(number.name)
        if got is None and held_to >= number.since:
            wrong.append(Mismatch(number.name, str(number.value), "not defined"))
        elif got is not None and got != number.value:
            wrong.append(Mismatch(number.name, f"{number.value:#x}", f"{got:#x}"))
    return wrong, ""


def no_unknown_hazard(headers: HeaderFacts) -> Comparison:
    """Check that programs of the ABI read every structure as the kernel does; known exceptions are a note.

    Raises HarnessError for the kernel's own ABI, which cannot differ.
    """
    if headers.userspace is native(headers.userspace.arch):
        raise HarnessError("layout.hazards is about an ABI that is not the kernel's own")
    found = [h for h in scan(headers.kernel, headers.layout, headers.userspace) if h.fate is Fate.WRONG]
    new = [
        Mismatch(
            f"struct {hazard.struct}", "one layout", f"{shift.path or 'size'} {shift.native}/{shift.other}"
        )
        for hazard in found
        if not hazard.known
        for shift in hazard.shifts
    ]
    known = ", ".join(f"struct {hazard.struct} ({hazard.source})" for hazard in found if hazard.known)
    return new, f"Known to be read wrongly by {headers.userspace.name}: {known}" if known else ""


def btf_agrees(headers: HeaderFacts) -> Comparison:
    """Compare the BTF with the frozen offsets, and with the headers; a known difference of a foreign ABI is a note.

    Raises HarnessError without BTF.
    """
    if headers.btf is None:
        raise HarnessError("layout.btf is about a running kernel, and was compared with headers alone")
    # Only userspace has the name `flags` for data[0]; the kernel's own type lacks it (d495f942f40a).
    own = native(headers.userspace.arch)
    kernel = HeaderFacts(headers.spec, headers.version, own, headers.kernel, headers.kernel)
    wanted = promised_members(own.arch) | system_event_members(kernel)
    if headers.has_event_data:
        wanted.pop("system_event.flags")
    if find(headers.btf.structs["kvm_run"], _UNSAFE):
        wanted[_UNSAFE] = wanted.pop("immediate_exit")
    wrong = _misplaced(headers.btf, wanted)
    live = []
    for name, struct in headers.btf.structs.items():
        if name not in headers.layout.structs:
            # Only the kernel has this structure.
            continue
        for shift in shifts(struct, headers.layout.structs[name], headers.layout.structs):
            known = known_difference(name, shift.path, own.arch)
            if headers.userspace is own or known is None:
                what = f"{name}.{shift.path} in the headers".replace(". ", " ")
                wrong.append(Mismatch(what, str(shift.native), str(shift.other)))
            elif known.fate is Fate.WRONG:
                live.append(f"{name}.{shift.path}")
    return wrong, f"Known to differ for {headers.userspace.name}: {', '.join(live)}" if live else ""
