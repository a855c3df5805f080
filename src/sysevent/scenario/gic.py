"""Steps that make an interrupt controller in the kernel for an arm64 guest, and interrupts with and without one.

Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic.rst. The interrupt of these scenarios is a PPI that no
device of KVM uses. The guest never touches the controller: userspace sets its registers.
"""

from __future__ import annotations

import struct

import msgspec

from sysevent.abi import gic
from sysevent.abi.arm64 import IRQ_CPU_IRQ, IRQ_TYPE_CPU, IRQ_TYPE_PPI
from sysevent.abi.gic import Address, DeviceType, Group
from sysevent.abi.ioctls import Request
from sysevent.scenario.steps import Device, Ioctl, Step

# struct kvm_device_attr: flags, group, attr, address.
DEVICE_ATTR = "<IIQQ"
_POINTER, _VALUE = 16, struct.calcsize(DEVICE_ATTR)

# Guest physical addresses: neither memory nor RETURNED_MMIO of scenario/arm64.py.
_DISTRIBUTOR = 0x0800_0000
# CPU interface of a GICv2, redistributors of a GICv3.
_CPUS = 0x080A_0000
# Of struct kvm_device_attr.attr: a vCPU, by its number (GICv2) or its MPIDR (GICv3), which is the same up to 15.
_CPU_SHIFT = 32
# The interrupt: a PPI, 16 to 31.
_PPI = 20
# Every interrupt whose priority is not the lowest passes.
_PMR = 0xF0
# GICC_PMR >> 3, which is what KVM_DEV_ARM_VGIC_GRP_CPU_REGS takes.
_PMR_V2 = _PMR >> 3


class Gic(msgspec.Struct, frozen=True):
    """One kind of interrupt controller."""

    type: DeviceType
    distributor: Address
    cpus: Address

    @property
    def is_v3(self) -> bool:
        """Whether it is a GICv3."""
        return self.type is DeviceType.ARM_VGIC_V3


# By the value of Configuration.irqchip.
GICS = {
    "gicv3": Gic(DeviceType.ARM_VGIC_V3, Address.V3_ADDR_TYPE_DIST, Address.V3_ADDR_TYPE_REDIST),
    "gicv2": Gic(DeviceType.ARM_VGIC_V2, Address.V2_ADDR_TYPE_DIST, Address.V2_ADDR_TYPE_CPU),
}


def attribute(fd: str | int, group: int, attr: int, value: bytes = b"") -> Ioctl:
    """Return the step KVM_SET_DEVICE_ATTR, with the value that the attribute points to."""
    buffer = struct.pack(DEVICE_ATTR, 0, group, attr, 0) + value
    return Ioctl(fd, Request.SET_DEVICE_ATTR, buffer=buffer, pointer=(_POINTER, _VALUE) if value else None)


def exists(irqchip: str) -> Ioctl:
    """Return the step that says whether KVM has this interrupt controller, for a fact of the controller's name."""
    buffer = struct.pack("<III", GICS[irqchip].type, 0, gic.CREATE_DEVICE_TEST)
    return Ioctl("vm", Request.CREATE_DEVICE, buffer=buffer, label=irqchip)


def controller(irqchip: str) -> tuple[Step, ...]:
    """Return the steps that create and initialize an interrupt controller, when all vCPUs exist; none for ""."""
    if not irqchip:
        return ()
    kind = GICS[irqchip]
    return (
        Device(kind.type),
        attribute("device", Group.ADDR, kind.distributor, struct.pack("<Q", _DISTRIBUTOR)),
        attribute("device", Group.ADDR, kind.cpus, struct.pack("<Q", _CPUS)),
        attribute("device", Group.CTRL, gic.CTRL_INIT),
    )


def accept_interrupts(irqchip: str, vcpu: int) -> tuple[Step, ...]:
    """Return the steps that let the interrupt of raise_line() reach a vCPU; none without a controller."""
    if not irqchip:
        return ()
    cpu, enabled = vcpu << _CPU_SHIFT, struct.pack("<I", 1 << _PPI)
    if GICS[irqchip].is_v3:
        on = struct.pack("<I", gic.GICD_CTLR_V3_ENABLE_GROUP_1)
        return (
            attribute("device", Group.DIST_REGS, gic.GICD_CTLR, on),
            attribute("device", Group.REDIST_REGS, cpu | gic.GICR_ISENABLER0, enabled),
            attribute("device", Group.CPU_SYSREGS, cpu | gic.ICC_PMR_EL1, struct.pack("<Q", _PMR)),
        )
    return (
        attribute("device", Group.DIST_REGS, cpu | gic.GICD_CTLR, struct.pack("<I", gic.GICD_CTLR_V2_ENABLE)),
        attribute("device", Group.DIST_REGS, cpu | gic.GICD_ISENABLER0, enabled),
        attribute("device", Group.CPU_REGS, cpu | gic.GICC_PMR, struct.pack("<I", _PMR_V2)),
    )


def set_line(irqchip: str, vcpu: int, level: int) -> Ioctl:
    """Return the step KVM_IRQ_LINE: the input of a vCPU, or with a controller the PPI of accept_interrupts()."""
    kind, number = (IRQ_TYPE_PPI, _PPI) if irqchip else (IRQ_TYPE_CPU, IRQ_CPU_IRQ)
    # struct kvm_irq_level: irq, level.
    return Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", kind << 24 | vcpu << 16 | number, level))
