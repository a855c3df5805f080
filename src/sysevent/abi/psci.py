"""PSCI, the firmware interface of arm64 guests: Arm DEN0022, and how arch/arm64/kvm/psci.c offers it."""

from __future__ import annotations

from typing import Final

from sysevent.abi.number import Number, as_register

VERSION: Final = 0x8400_0000
# About single vCPUs. The names ending in _64 as in Function.
CPU_SUSPEND: Final = 0x8400_0001
CPU_SUSPEND_64: Final = 0xC400_0001
CPU_OFF: Final = 0x8400_0002
CPU_ON: Final = 0x8400_0003
CPU_ON_64: Final = 0xC400_0003
AFFINITY_INFO: Final = 0x8400_0004
AFFINITY_INFO_64: Final = 0xC400_0004
MIGRATE: Final = 0x8400_0005
MIGRATE_INFO_TYPE: Final = 0x8400_0006
MIGRATE_INFO_UP_CPU: Final = 0x8400_0007
# The last number of DEN0022's range, without a function.
NO_FUNCTION: Final = 0x8400_001F
# Of the SMC Calling Convention (DEN0028): PSCI_FEATURES knows it, too.
SMCCC_VERSION: Final = 0x8000_0000
# PSCI 0.1 as KVM has it: KVM_PSCI_FN_* of arch/arm64/include/uapi/asm/kvm.h.
V0_1_CPU_SUSPEND: Final = 0x95C1_BA5E
V0_1_CPU_OFF: Final = 0x95C1_BA5F
V0_1_CPU_ON: Final = 0x95C1_BA60
V0_1_MIGRATE: Final = 0x95C1_BA61
FEATURES: Final = 0x8400_000A


class Function(Number):
    """The functions that concern the whole system, with the first release whose KVM has each.

    Every target is asked for all of them: Facts.features holds the answer of PSCI_FEATURES under `fact`. The
    numbers ending in _64 are those of the 64-bit calling convention (Arm DEN0028).
    """

    SYSTEM_OFF = 0x8400_0008
    SYSTEM_RESET = 0x8400_0009
    SYSTEM_RESET2 = 0x8400_0012, (5, 18), "d43583b890e7"
    SYSTEM_RESET2_64 = 0xC400_0012, (5, 18), "d43583b890e7"
    SYSTEM_OFF2 = 0x8400_0015, (6, 13), "97413cea1c48"
    SYSTEM_OFF2_64 = 0xC400_0015, (6, 13), "97413cea1c48"
    SYSTEM_SUSPEND = 0x8400_000E, (5, 19), "bfbab4456877"
    SYSTEM_SUSPEND_64 = 0xC400_000E, (5, 19), "bfbab4456877"

    @property
    def fact(self) -> str:
        """The name of PSCI_FEATURES' answer about it in Facts.features: psci.features.0x84000012."""
        return f"psci.features.{self:#x}"


# DEN0022, return codes, as the guest's x0 holds them.
SUCCESS: Final = 0
NOT_SUPPORTED: Final = as_register(-1)
INVALID_PARAMETERS: Final = as_register(-2)
DENIED: Final = as_register(-3)
ALREADY_ON: Final = as_register(-4)
INTERNAL_FAILURE: Final = as_register(-6)

# What AFFINITY_INFO returns of a vCPU.
AFFINITY_ON: Final = 0
AFFINITY_OFF: Final = 1
# What MIGRATE_INFO_TYPE returns: no trusted OS needs to migrate.
TOS_MP: Final = 2

# Reset types of SYSTEM_RESET2: bit 31 is set in those that vendors may define.
RESET2_VENDOR_FIRST: Final = 1 << 31
RESET2_VENDOR_LAST: Final = (1 << 32) - 1


def version(major: int, minor: int) -> int:
    """The number of a PSCI version, as PSCI_VERSION gives it and KVM_REG_ARM_PSCI_VERSION holds it."""
    return major << 16 | minor
