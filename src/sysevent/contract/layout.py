"""What headers, and the types of a running kernel, must mean in bytes: claims, and their judge.

They are judged on layouts, so they know nothing of compilers and kernels. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from sysevent.abi import kvm_run as frozen
from sysevent.abi.kvm_run import Field
from sysevent.abi.numbers import NUMBERS
from sysevent.arches import Abi, native
from sysevent.contract import kernel_release
from sysevent.contract.claim import PREFIX
from sysevent.contract.common import REPAIR
from sysevent.decode.structs import Layout, Struct, find, leaves
from sysevent.errors import HarnessError
from sysevent.headers.scan import scan, shifts
from sysevent.headers.translated import Fate, row
from sysevent.model import Level, Mismatch, Status, Verdict

_UAPI = "include/uapi/linux/kvm.h, struct kvm_run"
_UNSAFE = (
    "immediate_exit__unsafe"  # what the kernel calls immediate_exit when it compiles itself, since v6.11
)


class Subject(msgspec.Struct, frozen=True):
    """One kernel's headers for one ABI, and what the running kernel says of itself where one runs."""

    spec: str
    version: str  # of the header package, or of the running kernel
    userspace: Abi
    layout: Layout
    kernel: Layout  # the same headers for the kernel's own ABI
    btf: Layout | None = None  # struct kvm_run, and what it holds, in the running kernel's BTF

    @property
    def new(self) -> bool:
        """Whether system_event must be what it is since v5.18."""
        says_so = "KVM_CAP_SYSTEM_EVENT_DATA" in self.layout.constants
        return says_so or kernel_release.parse(self.version) >= kernel_release.EVENT_DATA

    @property
    def run(self) -> Struct:
        return self.layout.structs["kvm_run"]


Found = tuple[list[Mismatch], str]  # what is wrong, and what is worth a note


class LayoutClaim(msgspec.Struct, frozen=True):
    """One row."""

    name: str
    says: str
    source: str
    check: Callable[[Subject], Found]
    level: Level = Level.ABI


# No msgspec.Struct as the other values: that one would bring a != of its own.
@dataclass(frozen=True, slots=True, eq=False)
class Promise:
    """A claim that equals a subject which leaves nothing to object to."""

    claim: LayoutClaim

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Subject):
            return NotImplemented
        return judge(self.claim, other).status is not Status.FAIL

    __hash__ = None  # type: ignore[assignment]


def judge(claim: LayoutClaim, subject: Subject) -> Verdict:
    """The verdict: PASS, FAIL with every mismatch, or DONE with a note."""
    wrong, note = claim.check(subject)
    test = test_name(claim, subject.userspace.name, running=subject.btf is not None)
    if wrong:
        first = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        told = f"{first.what}: got {first.got}, expected {first.expected}{more}. {claim.says}"
        return Verdict(test, Status.FAIL, claim.level, told, tuple(wrong))
    if note:
        return Verdict(test, Status.DONE, claim.level, f"{note}. {claim.says}")
    old = "" if subject.new else " The definition before v5.18 is expected here."
    return Verdict(test, Status.PASS, claim.level, claim.says + old)


def test_name(claim: LayoutClaim, abi: str, *, running: bool) -> str:
    """The claim's name in run.jsonl: with the ABI where no target tells it."""
    return f"{PREFIX}.layout.{claim.name}" if running else f"{PREFIX}.layout.{abi}.{claim.name}"


def head(arch: str) -> dict[str, Field]:
    """The members of kvm_run whose places every program was promised, by their paths."""
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


def system_event(subject: Subject) -> dict[str, Field]:
    """The members of system_event, as they must be in the headers that a subject has."""
    if not subject.new:
        flags = frozen.old_flags(subject.userspace.u64_alignment)
        return {"system_event.type": frozen.TYPE, "system_event.flags": flags}
    whole = Field("data", frozen.DATA[0].offset, sum(item.size for item in frozen.DATA))
    return {
        "system_event.type": frozen.TYPE,
        "system_event.ndata": frozen.NDATA,
        "system_event.data": whole,
        "system_event.flags": frozen.FLAGS,
    }


def _places(layout: Layout, wanted: dict[str, Field]) -> list[Mismatch]:
    """Every member where it was promised, by DWARF or BTF and by the compiler's own offsetof."""
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


def _head(subject: Subject) -> Found:
    return _places(subject.layout, head(subject.userspace.arch)), ""


def _system_event(subject: Subject) -> Found:
    wrong = _places(subject.layout, system_event(subject))
    if not subject.new and find(subject.run, "system_event.ndata"):
        wrong.append(Mismatch("system_event.ndata", "none without capability 215", "a member"))
    return wrong, ""


def _union(subject: Subject) -> Found:
    start, end = frozen.UNION
    wrong = []
    padding = find(subject.run, "padding")
    if padding is None or (padding.offset, padding.size) != (start, end - start):
        got = f"{padding.offset}, {padding.size} bytes" if padding else "no such member"
        wrong.append(Mismatch("padding", f"{start}, {end - start} bytes", got, frozen.UNION))
    # A leaf for each member of an exit: whatever begins in the union must end in it.
    for leaf in leaves(subject.run, subject.layout.structs):
        if start <= leaf.offset < end < leaf.end:
            wrong.append(Mismatch(leaf.path, f"within {start}..{end - 1}", f"ends at {leaf.end - 1}"))
    return wrong + _places(subject.layout, {"kvm_valid_regs": frozen.VALID_REGS}), ""


def _numbers(subject: Subject) -> Found:
    wrong = []
    held_to = kernel_release.parse(subject.version)
    for number in NUMBERS:
        if number.arch not in ("", subject.userspace.arch):
            continue
        got = subject.layout.constants.get(number.name)
        if got is None and held_to >= number.since:
            wrong.append(Mismatch(number.name, str(number.value), "not defined"))
        elif got is not None and got != number.value:
            wrong.append(Mismatch(number.name, f"{number.value:#x}", f"{got:#x}"))
    return wrong, ""


def _hazards(subject: Subject) -> Found:
    if subject.userspace is native(subject.userspace.arch):
        raise HarnessError("layout.hazards is about an ABI that is not the kernel's own")
    found = [h for h in scan(subject.kernel, subject.layout, subject.userspace) if h.fate is Fate.WRONG]
    new = [
        Mismatch(
            f"struct {hazard.struct}", "one layout", f"{shift.path or 'size'} {shift.native}/{shift.other}"
        )
        for hazard in found
        if not hazard.known
        for shift in hazard.shifts
    ]
    known = ", ".join(f"struct {hazard.struct} ({hazard.source})" for hazard in found if hazard.known)
    return new, f"Known to be read wrongly by {subject.userspace.name}: {known}" if known else ""


def _running(subject: Subject) -> Found:
    if subject.btf is None:
        raise HarnessError("layout.btf is about a running kernel, and was compared with headers alone")
    # The kernel sees no `flags` beside data[]: that name is userspace's alone (d495f942f40a).
    own = native(subject.userspace.arch)
    kernel = Subject(subject.spec, subject.version, own, subject.kernel, subject.kernel)
    wanted = head(own.arch) | system_event(kernel)
    if subject.new:
        wanted.pop("system_event.flags")
    if find(subject.btf.structs["kvm_run"], _UNSAFE):
        wanted[_UNSAFE] = wanted.pop("immediate_exit")
    wrong = _places(subject.btf, wanted)
    live = []
    for name, struct in subject.btf.structs.items():
        if name not in subject.layout.structs:
            continue  # one of the kernel's own
        for shift in shifts(struct, subject.layout.structs[name], subject.layout.structs):
            told = row(name, shift.path, own.arch)
            if subject.userspace is own or told is None:
                what = f"{name}.{shift.path} in the headers".replace(". ", " ")
                wrong.append(Mismatch(what, str(shift.native), str(shift.other)))
            elif told.fate is Fate.WRONG:
                live.append(f"{name}.{shift.path}")
    return wrong, f"Known to differ for {subject.userspace.name}: {', '.join(live)}" if live else ""


STATIC = (
    LayoutClaim(
        "kvm_run",
        "The members of struct kvm_run that every exit uses lie where programs have them compiled in.",
        _UAPI,
        _head,
    ),
    LayoutClaim(
        "system_event",
        "system_event is type @32, ndata @36, data[16] @40 (flags is data[0]); before v5.18 type and flags.",
        f"{_UAPI}; {REPAIR}",
        _system_event,
    ),
    LayoutClaim(
        "union",
        "Every exit stays within the 256 bytes of the union, so that kvm_valid_regs stays at 288.",
        f"{_UAPI}: char padding[256]",
        _union,
    ),
    LayoutClaim(
        "constants",
        "Exit reasons, event types, flags, capabilities and ioctls have the numbers that programs use.",
        "include/uapi/linux/kvm.h, arch/*/include/uapi/asm/kvm.h",
        _numbers,
    ),
    LayoutClaim(
        "hazards",
        "No structure means other bytes to programs of this ABI than to the kernel, but the known ones.",
        "src/sysevent/headers/translated.py; virt/kvm/kvm_main.c, kvm_vm_compat_ioctl",
        _hazards,
    ),
)
RUNNING = LayoutClaim(
    "btf",
    "The running kernel's BTF, its headers and our table agree on struct kvm_run.",
    f"{_UAPI}; Documentation/bpf/btf.rst",
    _running,
)
CLAIMS = {claim.name: claim for claim in (*STATIC, RUNNING)}


def claim(name: str) -> LayoutClaim:
    """The claim called name; HarnessError when a test expects what no row says."""
    try:
        return CLAIMS[name]
    except KeyError:
        raise HarnessError(f"no layout claim is called {name!r}; there are {', '.join(CLAIMS)}") from None
