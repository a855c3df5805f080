"""struct kvm_run as bytes: the offsets that every userspace was promised, frozen as numbers.

Measured by compiling include/uapi/linux/kvm.h of 5.10, 6.1, 6.12, 7.2 and 7.3 for x86-64, x32, i386, arm64,
riscv64 and riscv32: identical everywhere since v5.18 (d495f942f40a).
"""

from __future__ import annotations

from typing import Final

import msgspec


class Field(msgspec.Struct, frozen=True):
    """One member of kvm_run: where it lies and how wide it is, in bytes."""

    name: str
    offset: int
    size: int

    @property
    def span(self) -> tuple[int, int]:
        """Its bytes as a half-open range."""
        return span(self, self)


def span(first: Field, last: Field) -> tuple[int, int]:
    """Return the bytes from the first member to the end of the last one, as a half-open range."""
    return (first.offset, last.offset + last.size)


IMMEDIATE_EXIT: Final = Field("immediate_exit", 1, 1)
EXIT_REASON: Final = Field("exit_reason", 8, 4)
READY: Final = Field("ready_for_interrupt_injection", 12, 1)
IF_FLAG: Final = Field("if_flag", 13, 1)
RUN_FLAGS: Final = Field("run.flags", 14, 2)
CR8: Final = Field("cr8", 16, 8)
APIC_BASE: Final = Field("apic_base", 24, 8)

# The union of all exits, 256 bytes, as a half-open range.
UNION: Final = (32, 288)

TYPE: Final = Field("type", 32, 4)
# Padding before v5.18.
NDATA: Final = Field("ndata", 36, 4)
DATA: Final = tuple(Field(f"data[{n}]", 40 + 8 * n, 8) for n in range(16))
# The name of these bytes before v5.18. Today it is another name of data[0], for userspace only.
FLAGS: Final = Field("flags", 40, 8)
# All of system_event: since v5.18, and before.
SYSTEM_EVENT: Final = span(TYPE, DATA[-1])
OLD_SYSTEM_EVENT: Final = span(TYPE, FLAGS)

VALID_REGS: Final = Field("kvm_valid_regs", 288, 8)
DIRTY_REGS: Final = Field("kvm_dirty_regs", 296, 8)
# rax on x86, device_irq_level on arm64.
SYNC_FIRST: Final = Field("s.regs[0]", 304, 8)
# The recorded part of the rest. arm64's KVM also reads and writes the 8 bytes before it.
SYNC_REST: Final = Field("s.regs", 312, 8)

MMIO_ADDRESS: Final = Field("mmio.phys_addr", 32, 8)
MMIO_DATA: Final = Field("mmio.data", 40, 8)
IO_DIRECTION: Final = Field("io.direction", 32, 1)
IO_SIZE: Final = Field("io.size", 33, 1)
IO_PORT: Final = Field("io.port", 34, 2)
IO_COUNT: Final = Field("io.count", 36, 4)
IO_DATA_OFFSET: Final = Field("io.data_offset", 40, 8)
# Of X86_RDMSR and X86_WRMSR.
MSR_ERROR: Final = Field("msr.error", 32, 1)
MSR_REASON: Final = Field("msr.reason", 40, 4)
MSR_INDEX: Final = Field("msr.index", 44, 4)
MSR_DATA: Final = Field("msr.data", 48, 8)
SBI_EXTENSION: Final = Field("riscv_sbi.extension_id", 32, 8)
SBI_FUNCTION: Final = Field("riscv_sbi.function_id", 40, 8)
SBI_ARGUMENTS: Final = tuple(Field(f"riscv_sbi.args[{n}]", 48 + 8 * n, 8) for n in range(6))
# arm64 only, both; hsr_high since v5.19 (18f3976fdb5d).
DEBUG_HSR: Final = Field("debug.hsr", 32, 4)
DEBUG_HSR_HIGH: Final = Field("debug.hsr_high", 36, 4)

# fmt: off
FIELDS: Final = {
    field.name: field
    for field in (
        IMMEDIATE_EXIT, EXIT_REASON, READY, IF_FLAG, RUN_FLAGS, CR8, APIC_BASE,
        TYPE, NDATA, *DATA, FLAGS,
        VALID_REGS, DIRTY_REGS, SYNC_FIRST, SYNC_REST,
        MMIO_ADDRESS, MMIO_DATA, IO_DIRECTION, IO_SIZE, IO_PORT, IO_COUNT, IO_DATA_OFFSET,
        MSR_ERROR, MSR_REASON, MSR_INDEX, MSR_DATA,
        SBI_EXTENSION, SBI_FUNCTION, *SBI_ARGUMENTS, DEBUG_HSR, DEBUG_HSR_HIGH,
    )
}
# fmt: on


def old_flags(u64_alignment: int) -> Field:
    """`flags` of system_event before v5.18, for an ABI that aligns a u64 to u64_alignment bytes.

    It stood behind a u32, with no padding that has a name: at 36 where the alignment is 4, which is i386 alone, and
    at 40 elsewhere. d495f942f40a repaired that.
    """
    return Field("flags", TYPE.offset + max(TYPE.size, u64_alignment), 8)
