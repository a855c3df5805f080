"""Finds splats in lines of a kernel's log: reports of defects, with the trace of calls that led there.

A splat begins with "cut here" (kernel/panic.c, __warn), or with the headline of a kind that prints no such line, and
ends with "end trace", with the next splat, or with the log. Two things are found out about each:

- Whether it is about time: a stall of RCU, a soft lockup, a task that hangs. On a busy machine, and under TCG, these
  have no cause in the kernel.
- Whether KVM is in its trace: a function or file of KVM, or a module of it. Not counted are entries that the kernel
  itself marks with "?", as left over on the stack, and what an interrupt interrupted: a vCPU runs most of the time.
  A kernel without CONFIG_KALLSYMS and CONFIG_DEBUG_BUGVERBOSE, such as one of images/kconfig, prints addresses only.
  There a splat of a process of the VMM counts, which does next to nothing but KVM's ioctls.
"""

from __future__ import annotations

import itertools
import re

import msgspec

# Kinds that need not print "cut here". lib/ubsan.c, kernel/locking/lockdep.c, mm/kasan/report.c, arch/*/kernel/traps.c
# and arch/*/mm/fault.c; "[#1]" counts the oopses in all of them.
_DEFECT = re.compile(
    r"^WARNING: |^BUG: |kernel BUG at |Kernel BUG|\[#\d+\]|^Internal error: |general protection fault|"
    r"Unable to handle kernel |^UBSAN: |^INFO: trying to register non-static key|nVHE hyp (?:BUG|panic)"
)
# kernel/rcu/tree_stall.h, kernel/watchdog.c, kernel/hung_task.c.
_STALL = re.compile(
    r"INFO: rcu\w* .*stall|rcu: INFO: |(?:soft|hard) lockup|hard LOCKUP|^INFO: task .* blocked for more than"
)
_CUT_HERE = "[ cut here ]"
_END = "---[ end trace"

_KVM = re.compile(
    # Files, modules, and functions with the offset in them.
    r"\bvirt/kvm/|\barch/\w+/kvm/|\[kvm[\w-]*(?: [^\]]*)?\]|\b\w*kvm\w*\+0x[0-9a-f]+/0x"
)
# The functions and files of other subsystems: without them nothing but addresses is printed.
_SYMBOL = re.compile(r"\b[A-Za-z_]\w*\+0x[0-9a-f]+/0x|[\w./-]+/[\w.-]+\.[chS]:\d+")
# comm is a file's name of at most 15 bytes: vmm.1 in a guest, vmm-x86_64-… in the cache.
_VMM = re.compile(r"\bComm: vmm|\bCPU#\d+: vmm")
_UNRELIABLE = re.compile(r"^\s*\? |^Modules linked in:")
# Below this line is what was interrupted: arch/x86/kernel/dumpstack.c, arch/arm64/kernel/entry.S,
# arch/riscv/kernel/traps.c.
_INTERRUPTED = re.compile(
    r"</(?:IRQ|NMI|SOFTIRQ)>|\bel1h?_(?:64_)?(?:irq|fiq)\b|\bel1_irq\b|\bhandle_riscv_irq\+|\bdo_irq\+|"
    r"\basm_(?:sysvec_|common_interrupt)"
)


class Splat(msgspec.Struct, frozen=True):
    """One report of a defect in a kernel's log."""

    lines: tuple[str, ...]
    # True: it is about time, see above.
    stall: bool
    # True: KVM is in its trace.
    in_kvm: bool

    @property
    def headline(self) -> str:
        """The line that says what is wrong."""
        return next((line for line in self.lines if _is_headline(line)), self.lines[-1])


def splats(lines: tuple[str, ...]) -> tuple[Splat, ...]:
    """Return the splats in these lines, in order; other messages are left out."""
    found: list[list[str]] = []
    inside = False
    for line in lines:
        stall = bool(_STALL.search(line))
        starts = _CUT_HERE in line or stall or bool(_DEFECT.search(line))
        after_stall = inside and bool(_STALL.search(found[-1][0])) and not stall
        if starts and (not inside or _CUT_HERE in line or after_stall):
            found.append([])
            inside = True
        if inside:
            found[-1].append(line)
        if _END in line:
            inside = False
    return tuple(_splat(tuple(one)) for one in found)


def _splat(lines: tuple[str, ...]) -> Splat:
    headline = next((line for line in lines if _is_headline(line)), "")
    return Splat(lines, bool(_STALL.search(headline)), _has_kvm(lines))


def _is_headline(line: str) -> bool:
    return bool(_STALL.search(line) or _DEFECT.search(line))


def _has_kvm(lines: tuple[str, ...]) -> bool:
    own = list(itertools.takewhile(lambda line: not _INTERRUPTED.search(line), lines))
    if any(_SYMBOL.search(line) for line in lines):
        return any(_KVM.search(line) and not _UNRELIABLE.search(line) for line in own)
    return len(own) == len(lines) and any(_VMM.search(line) for line in lines)
