"""The numbers of this package that the kernel's headers define, by their names there."""

from __future__ import annotations

import msgspec

from sysevent.abi import arm64, debug, gic, x86_64, xen
from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.number import BEFORE_ALL, Number, Release


class Constant(msgspec.Struct, frozen=True):
    """One constant of include/uapi/linux/kvm.h or arch/*/include/uapi/asm/kvm.h."""

    name: str
    value: int
    # The release that brought the name.
    since: Release
    # The only architecture whose headers have it; "" for all.
    arch: str


# Each table, and the prefix of the names of its rows in the headers.
_TABLES: tuple[tuple[type[Number], str], ...] = (
    (ExitReason, "KVM_EXIT_"),
    (EventType, "KVM_SYSTEM_EVENT_"),
    (ResetFlag, "KVM_SYSTEM_EVENT_RESET_FLAG_"),
    (ShutdownFlag, "KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_"),
    (Capability, "KVM_CAP_"),
    (MpState, "KVM_MP_STATE_"),
    (Request, "KVM_"),
    (gic.DeviceType, "KVM_DEV_TYPE_"),
    (gic.Group, "KVM_DEV_ARM_VGIC_GRP_"),
    (gic.Address, "KVM_VGIC_"),
)

# Flags and values that are not in a table.
_SINGLE = (
    Constant("KVM_GUESTDBG_ENABLE", debug.GUESTDBG_ENABLE, BEFORE_ALL, ""),
    Constant("KVM_GUESTDBG_SINGLESTEP", debug.GUESTDBG_SINGLESTEP, BEFORE_ALL, ""),
    Constant("KVM_GUESTDBG_USE_SW_BP", debug.GUESTDBG_USE_SW_BP, BEFORE_ALL, "arm64"),
    Constant("KVM_GUESTDBG_USE_SW_BP", debug.GUESTDBG_USE_SW_BP, BEFORE_ALL, "x86_64"),
    Constant("KVM_DEBUG_ARCH_HSR_HIGH_VALID", debug.HSR_HIGH_VALID, (5, 19), "arm64"),
    Constant("KVM_ARM_TARGET_GENERIC_V8", arm64.TARGET_GENERIC_V8, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_VM_SMCCC_CTRL", arm64.VM_SMCCC_CTRL, (6, 4), "arm64"),
    Constant("KVM_ARM_VM_SMCCC_FILTER", arm64.VM_SMCCC_FILTER, (6, 4), "arm64"),
    Constant("KVM_SMCCC_FILTER_DENY", arm64.SMCCC_FILTER_DENY, (6, 4), "arm64"),
    Constant("KVM_SMCCC_FILTER_FWD_TO_USER", arm64.SMCCC_FILTER_FWD_TO_USER, (6, 4), "arm64"),
    Constant("KVM_DEV_ARM_VGIC_CTRL_INIT", gic.CTRL_INIT, BEFORE_ALL, "arm64"),
    Constant("KVM_CREATE_DEVICE_TEST", gic.CREATE_DEVICE_TEST, BEFORE_ALL, ""),
    Constant("KVM_ARM_IRQ_TYPE_CPU", arm64.IRQ_TYPE_CPU, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_IRQ_TYPE_PPI", arm64.IRQ_TYPE_PPI, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_IRQ_CPU_IRQ", arm64.IRQ_CPU_IRQ, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_VCPU_PMU_V3_CTRL", arm64.VCPU_PMU_V3_CTRL, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_VCPU_PMU_V3_IRQ", arm64.VCPU_PMU_V3_IRQ, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_VCPU_PMU_V3_INIT", arm64.VCPU_PMU_V3_INIT, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_VCPU_PVTIME_CTRL", arm64.VCPU_PVTIME_CTRL, BEFORE_ALL, "arm64"),
    Constant("KVM_ARM_VCPU_PVTIME_IPA", arm64.VCPU_PVTIME_IPA, BEFORE_ALL, "arm64"),
    Constant("KVM_SYNC_X86_REGS", x86_64.SYNC_REGS, (4, 17), "x86_64"),
    Constant("KVM_VCPUEVENT_VALID_TRIPLE_FAULT", x86_64.VCPUEVENT_VALID_TRIPLE_FAULT, (6, 0), "x86_64"),
    Constant("KVM_EXIT_XEN_HCALL", xen.EXIT_XEN_HCALL, (5, 12), ""),
    Constant("KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL", xen.INTERCEPT_HCALL, (5, 12), "x86_64"),
)

NUMBERS = (
    *(
        Constant(number.macro or f"{prefix}{number.name}", number.value, number.since, number.arch)
        for table, prefix in _TABLES
        for number in table
    ),
    *_SINGLE,
)
