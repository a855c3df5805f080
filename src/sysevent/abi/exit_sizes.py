"""How many bytes of kvm_run's union belong to an exit: the sizes of its members in include/uapi/linux/kvm.h."""

from __future__ import annotations

from typing import Final

from sysevent.abi import kvm_run
from sysevent.abi.exits import ExitReason

_UNION: Final = kvm_run.UNION[1] - kvm_run.UNION[0]

# By exit reason, without the padding at the end. Exits that are not listed have no member.
_SIZES: Final[dict[int, int]] = {
    ExitReason.UNKNOWN: 8,
    ExitReason.EXCEPTION: 8,
    ExitReason.IO: 16,
    ExitReason.HYPERCALL: 72,
    ExitReason.HLT: 0,
    ExitReason.MMIO: 21,
    ExitReason.IRQ_WINDOW_OPEN: 0,
    ExitReason.SHUTDOWN: 0,
    ExitReason.FAIL_ENTRY: 12,
    ExitReason.INTR: 0,
    ExitReason.ARM_NISV: 16,
    ExitReason.X86_RDMSR: 24,
    ExitReason.X86_WRMSR: 24,
    ExitReason.XEN: 80,
    ExitReason.RISCV_SBI: 80,
    ExitReason.RISCV_CSR: 32,
    ExitReason.MEMORY_FAULT: 24,
}
# struct kvm_debug_exit_arch, by architecture: arch/*/include/uapi/asm/kvm.h.
DEBUG_SIZES: Final[dict[str, int]] = {"arm64": 16, "riscv64": 0, "x86_64": 32}
# Both have a u32, the number of elements, and an array of as many u64. A number that does not fit is not one: before
# v5.18 a system event had `flags` in the place of the first element.
_COUNTED: Final = (ExitReason.SYSTEM_EVENT, ExitReason.INTERNAL_ERROR)
_ELEMENTS_MAX: Final = 16

# struct kvm_sync_regs of x86: kvm_regs, kvm_sregs and kvm_vcpu_events, written if userspace sets kvm_valid_regs.
SYNC_REGS_END: Final = kvm_run.SYNC_FIRST.offset + 144 + 312 + 64


def own_bytes(reason: int, count: int, arch: str) -> int:
    """Return how many bytes of the union an exit may write; all of them for an exit that is not known.

    count: the u32 at offset 4 of the union.
    """
    if reason in _COUNTED:
        return 8 + 8 * (count if count <= _ELEMENTS_MAX else 1)
    if reason == ExitReason.DEBUG:
        return DEBUG_SIZES.get(arch, _UNION)
    return _SIZES.get(reason, _UNION)
