"""What a Xen hypercall of a guest must lead to, and what an i386 VMM makes of it: arch/x86/kvm/xen.c.

struct kvm_xen_exit is `u32 type; union u` with u64 members: the kernel and 64-bit programs have the union at
8, an i386 program at 4. Nothing translates it (src/sysevent/headers/translated.py), so an i386 VMM reads every
member four bytes off: the fault that system_event had before v5.18, alive.
"""

from __future__ import annotations

import functools

import msgspec

from sysevent.abi import kvm_run
from sysevent.abi.exits import ExitReason
from sysevent.abi.xen import EXIT_XEN_HCALL
from sysevent.contract.checks import Check, Exits, Register
from sysevent.contract.claim import Need
from sysevent.contract.common import EXIT_IO, row
from sysevent.model import Level, Mismatch, Observation
from sysevent.scenario.catalog.xen import INPUT, PARAMETERS, RESULT
from sysevent.scenario.steps import POISON

_row = functools.partial(row, "x86_64")
_UNION = kvm_run.UNION[0]  # of kvm_run, where struct kvm_xen_exit begins
_POISON = int.from_bytes(bytes([POISON]) * 4, "little")
_WRITES = "arch/x86/kvm/xen.c, kvm_xen_hypercall"
_READS = "arch/x86/kvm/xen.c, kvm_xen_hypercall_complete_userspace"

INTERCEPTS = Need(
    "interception of Xen hypercalls: it takes v5.12 and CONFIG_KVM_XEN (KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL)",
    None,
    "xen.intercept",
)


class Reads(msgspec.Struct, frozen=True):
    """Bytes of kvm_run, by the offset that a program has compiled in for a member of struct kvm_xen_exit."""

    member: str
    offset: int  # in the structure
    size: int
    value: int
    label: str = "exit"
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        at = _UNION + self.offset
        raw = seen.exits.get(self.label)
        what = f"xen.u.hcall.{self.member}" if self.offset else "xen.type"
        if raw is None:
            return [Mismatch(what, f"{self.value:#x}", "no such exit was recorded")]
        got = int.from_bytes(raw.head[at : at + self.size], "little")
        if got == self.value:
            return []
        return [Mismatch(what, f"{self.value:#x}", f"{got:#x}", (at, at + self.size))]


def _low(value: int) -> int:
    return value & 0xFFFF_FFFF


def _members(union: int) -> tuple[tuple[str, int, int], ...]:
    """Name, offset and size of struct kvm_xen_exit's members, with its union at 8 or at 4."""
    return (
        ("longmode", union, 4),
        ("cpl", union + 4, 4),
        ("input", union + 8, 8),
        ("result", union + 16, 8),
        *((f"params[{n}]", union + 24 + 8 * n, 8) for n in range(len(PARAMETERS))),
    )


_RIGHT = (0, 0, INPUT, _POISON << 32 | _POISON, *PARAMETERS)
# Four bytes off, a 64-bit member is the end of the one before it and the beginning of its own.
_OFF = (
    _POISON,  # longmode: padding, which nothing writes
    0,  # cpl: longmode
    _low(INPUT) << 32,  # input: cpl, and its own lower half
    _POISON << 32,  # result: the upper half of input, and the lower half of result, not written
    _low(PARAMETERS[0]) << 32 | _POISON,
    *(_low(value) << 32 for value in PARAMETERS[1:]),
)


def _reads(union: int, values: tuple[int, ...]) -> tuple[Check, ...]:
    return tuple(Reads(*member, value) for member, value in zip(_members(union), values, strict=True))


CLAIMS = (
    _row(
        "xen.hypercall",
        "A Xen hypercall exits as KVM_EXIT_XEN; number and parameters are where 64-bit programs have them.",
        f"Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_XEN; {_WRITES}",
        (Exits(ExitReason.XEN), Reads("type", 0, 4, EXIT_XEN_HCALL), *_reads(8, _RIGHT)),
        INTERCEPTS,
    ),
    _row(
        "xen.hypercall.i386",
        "A VMM built for i386 reads every member of kvm_run.xen but type four bytes off: known, unrepaired.",
        f"{_WRITES}: no compat handling; struct kvm_xen_exit is 76 bytes for i386 and 80 for the kernel",
        (Exits(ExitReason.XEN), Reads("type", 0, 4, EXIT_XEN_HCALL), *_reads(4, _OFF)),
        INTERCEPTS,
        scenario="xen.hypercall",
        level=Level.OBSERVED,
        abi="i386",
    ),
    _row(
        "xen.result",
        "What a VMM writes into xen.u.hcall.result is what the guest finds in rax.",
        f"Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_XEN; {_READS}",
        (Exits(ExitReason.XEN), Exits(EXIT_IO, "back"), Register("rax", RESULT, "back")),
        INTERCEPTS,
        scenario="xen.result.x86_64",
    ),
    _row(
        "xen.result.i386",
        "Of the result that an i386 VMM writes, the guest gets the upper half as the lower one: unrepaired.",
        f"{_READS}: result is read at 24 of the structure; i386 has it at 20",
        (
            Exits(ExitReason.XEN),
            Exits(EXIT_IO, "back"),
            Register("rax", _POISON << 32 | RESULT >> 32, "back"),
        ),
        INTERCEPTS,
        level=Level.OBSERVED,
        abi="i386",
    ),
)
