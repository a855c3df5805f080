"""The members of kvm_run that an exit uses in the union, by its reason: include/uapi/linux/kvm.h."""

from __future__ import annotations

from typing import Final

from sysevent.abi import kvm_run as run
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import Field

_MSR: Final = (run.MSR_ERROR, run.MSR_REASON, run.MSR_INDEX, run.MSR_DATA)

UNION_MEMBERS: Final[dict[int, tuple[Field, ...]]] = {
    ExitReason.IO: (run.IO_DIRECTION, run.IO_SIZE, run.IO_PORT, run.IO_COUNT, run.IO_DATA_OFFSET),
    ExitReason.DEBUG: (run.DEBUG_HSR, run.DEBUG_HSR_HIGH),
    ExitReason.MMIO: (run.MMIO_ADDRESS, run.MMIO_DATA),
    ExitReason.X86_RDMSR: _MSR,
    ExitReason.X86_WRMSR: _MSR,
    ExitReason.SYSTEM_EVENT: (run.TYPE, run.NDATA, *run.DATA),
    ExitReason.RISCV_SBI: (run.SBI_EXTENSION, run.SBI_FUNCTION, *run.SBI_ARGUMENTS),
}

# Before and after the union, of every exit.
BEFORE_UNION: Final = (run.EXIT_REASON, run.READY, run.IF_FLAG, run.RUN_FLAGS, run.CR8, run.APIC_BASE)
AFTER_UNION: Final = (run.VALID_REGS, run.DIRTY_REGS, run.SYNC_FIRST, run.SYNC_REST)
