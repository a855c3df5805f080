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

# Registers of the APLIC, the attributes of a group, as offsets; and bits. RISC-V Advanced Interrupt Architecture.
GROUP_APLIC: Final = 3
APLIC_DOMAINCFG: Final = 0x0000
# Sources may send interrupts.
APLIC_DOMAINCFG_IE: Final = 1 << 8
# Of source 1; the next ones follow, four bytes each.
APLIC_SOURCECFG1: Final = 0x0004
APLIC_TARGET1: Final = 0x3004
APLIC_TARGET_HART_SHIFT: Final = 18
# They take the number of a source.
APLIC_SETIPNUM: Final = 0x1CDC
APLIC_CLRIPNUM: Final = 0x1DDC
APLIC_SETIENUM: Final = 0x1EDC
APLIC_CLRIENUM: Final = 0x1FDC
# An interrupt for a hart, as a target is written.
APLIC_GENMSI: Final = 0x3000

# What makes a source pending, in its sourcecfg.
SOURCE_INACTIVE: Final = 0
SOURCE_DETACHED: Final = 1
SOURCE_EDGE_RISE: Final = 4
SOURCE_EDGE_FALL: Final = 5
SOURCE_LEVEL_HIGH: Final = 6
SOURCE_LEVEL_LOW: Final = 7

# Registers of an IMSIC, the attributes of a group, by their number, with the hart's in the bits above.
GROUP_IMSIC: Final = 4
IMSIC_HART_SHIFT: Final = 12
IMSIC_EIDELIVERY: Final = 0x70
IMSIC_EITHRESHOLD: Final = 0x72
# A bit for each interrupt up to 63: pending, enabled.
IMSIC_EIP0: Final = 0x80
IMSIC_EIE0: Final = 0xC0
