"""KVM's interrupt controller of riscv64, the AIA: KVM_DEV_RISCV_AIA_* of arch/riscv/include/uapi/asm/kvm.h, v6.5."""

from __future__ import annotations

from typing import Final

# KVM_DEV_TYPE_RISCV_AIA, of KVM_CREATE_DEVICE.
DEVICE_TYPE: Final = 11

# Groups of device attributes, and the attributes of each.
GROUP_CONFIG: Final = 0
CONFIG_MODE: Final = 0
CONFIG_IDS: Final = 1
CONFIG_SOURCES: Final = 2
CONFIG_HART_BITS: Final = 5
GROUP_ADDRESS: Final = 1
# The harts' come after it, in their order.
ADDRESS_APLIC: Final = 0
GROUP_CONTROL: Final = 2
CONTROL_INIT: Final = 0

# Of CONFIG_MODE: KVM emulates the files of interrupts, for which a CPU with Ssaia is enough.
MODE_EMULATION: Final = 0
# Of CONFIG_IDS: the smallest number of interrupts.
IDS_MIN: Final = 63
