"""struct kvm_run as bytes: the offsets that every userspace was promised, frozen as numbers.

Measured by compiling include/uapi/linux/kvm.h of 5.10, 6.1, 6.12, 7.2 and 7.3 for x86-64, x32, i386, arm64,
riscv64 and riscv32: identical everywhere since v5.18 (d495f942f40a). Never taken from a header at run time,
since the headers are part of what is tested.
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
        return (self.offset, self.offset + self.size)


IMMEDIATE_EXIT = Field("immediate_exit", 1, 1)
EXIT_REASON = Field("exit_reason", 8, 4)
READY = Field("ready_for_interrupt_injection", 12, 1)
IF_FLAG = Field("if_flag", 13, 1)
RUN_FLAGS = Field("run.flags", 14, 2)
UNION: Final = (32, 288)  # 256 bytes, the union of all exits
TYPE = Field("type", 32, 4)
NDATA = Field("ndata", 36, 4)  # padding before v5.18
DATA: Final = tuple(Field(f"data[{n}]", 40 + 8 * n, 8) for n in range(16))
FLAGS = Field("flags", 40, 8)  # its name before v5.18; today data[0] by another name, for userspace only
VALID_REGS = Field("kvm_valid_regs", 288, 8)
DIRTY_REGS = Field("kvm_dirty_regs", 296, 8)
SYNC_FIRST = Field("s.regs[0]", 304, 8)  # rax on x86, device_irq_level on arm64
SYNC_REST = Field("s.regs", 312, 8)  # what of it comes back, without the 8 bytes that arm64 reads

MMIO_ADDRESS = Field("mmio.phys_addr", 32, 8)
IO_DIRECTION = Field("io.direction", 32, 1)
IO_SIZE = Field("io.size", 33, 1)
IO_PORT = Field("io.port", 34, 2)
IO_COUNT = Field("io.count", 36, 4)
IO_DATA_OFFSET = Field("io.data_offset", 40, 8)
SBI_EXTENSION = Field("riscv_sbi.extension_id", 32, 8)
DEBUG_HSR = Field("debug.hsr", 32, 4)  # arm64
DEBUG_HSR_HIGH = Field("debug.hsr_high", 36, 4)  # arm64, v5.19 (18f3976fdb5d)

FIELDS: Final = {
    field.name: field
    for field in (
        *(IMMEDIATE_EXIT, EXIT_REASON, READY, IF_FLAG, RUN_FLAGS, TYPE, NDATA, *DATA, FLAGS),
        *(
            VALID_REGS,
            DIRTY_REGS,
            SYNC_FIRST,
            SYNC_REST,
            MMIO_ADDRESS,
            IO_DIRECTION,
            IO_SIZE,
            IO_PORT,
            IO_COUNT,
        ),
        *(IO_DATA_OFFSET, SBI_EXTENSION, DEBUG_HSR, DEBUG_HSR_HIGH),
    )
}
