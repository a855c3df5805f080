"""KVM's interrupt controllers of arm64: KVM_DEV_ARM_VGIC_* of arch/arm64/include/uapi/asm/kvm.h, and GIC registers."""

from __future__ import annotations

from typing import Final

from sysevent.abi.number import BEFORE_ALL, Number


class DeviceType(Number):
    """What KVM_CREATE_DEVICE creates: KVM_DEV_TYPE_*."""

    ARM_VGIC_V2 = 5
    ARM_VGIC_V3 = 7


class Group(Number):
    """Groups of device attributes: KVM_DEV_ARM_VGIC_GRP_*."""

    ADDR = 0, BEFORE_ALL, "", "arm64"
    DIST_REGS = 1, BEFORE_ALL, "", "arm64"
    CPU_REGS = 2, BEFORE_ALL, "", "arm64"
    CTRL = 4, BEFORE_ALL, "", "arm64"
    REDIST_REGS = 5, BEFORE_ALL, "", "arm64"
    CPU_SYSREGS = 6, BEFORE_ALL, "", "arm64"


class Address(Number):
    """What lies at an address of Group.ADDR: KVM_VGIC_*."""

    V2_ADDR_TYPE_DIST = 0, BEFORE_ALL, "", "arm64"
    V2_ADDR_TYPE_CPU = 1, BEFORE_ALL, "", "arm64"
    V3_ADDR_TYPE_DIST = 2, BEFORE_ALL, "", "arm64"
    V3_ADDR_TYPE_REDIST = 3, BEFORE_ALL, "", "arm64"


# KVM_DEV_ARM_VGIC_CTRL_INIT, of Group.CTRL.
CTRL_INIT: Final = 0
# KVM_CREATE_DEVICE_TEST: only say whether there is such a device.
CREATE_DEVICE_TEST: Final = 1

# Registers, as offsets in Group.DIST_REGS, and bits. Arm IHI0069 (GICv3), IHI0048 (GICv2).
GICD_CTLR: Final = 0x0000
GICD_CTLR_V2_ENABLE: Final = 1 << 0
GICD_CTLR_V3_ENABLE_GROUP_1: Final = 1 << 1
# A bit for each interrupt, from here on.
GICD_ISENABLER0: Final = 0x0100
GICD_ICENABLER0: Final = 0x0180
GICD_ISPENDR0: Final = 0x0200
GICD_ICPENDR0: Final = 0x0280
GICD_ISACTIVER0: Final = 0x0300
GICD_ICACTIVER0: Final = 0x0380
# A byte for each interrupt.
GICD_IPRIORITYR0: Final = 0x0400
# In Group.REDIST_REGS: the frame of SGIs and PPIs, which follows that of the redistributor itself, and has the same
# registers as the distributor.
GICR_SGI_FRAME: Final = 0x1_0000
# In Group.CPU_REGS.
GICC_CTLR: Final = 0x0000
# KVM keeps the upper five bits of the mask there.
GICC_PMR: Final = 0x0004
# In Group.CPU_SYSREGS: op0 3, op1 0, CRn 4, CRm 6, op2 0.
ICC_PMR_EL1: Final = 3 << 14 | 4 << 7 | 6 << 3
# op0 3, op1 0, CRn 12, CRm 12, op2 7.
ICC_IGRPEN1_EL1: Final = 3 << 14 | 12 << 7 | 12 << 3 | 7
