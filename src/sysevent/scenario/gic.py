"""Steps that make an interrupt controller in the kernel for an arm64 guest, and interrupts with and without one.

Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic.rst. The interrupts of these scenarios are a PPI and an SPI
that no device of KVM uses. The guest never touches the controller: userspace sets its registers.
"""

from __future__ import annotations

import struct

import msgspec

from sysevent.abi import gic
from sysevent.abi.arm64 import IRQ_CPU_IRQ, IRQ_TYPE_CPU, IRQ_TYPE_PPI, IRQ_TYPE_SPI
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
# The interrupts of a vCPU alone, and those of the machine, of which KVM has 256 in all unless userspace sets another
# number (VGIC_NR_IRQS_LEGACY).
PPIS, SPIS = range(16, 32), range(32, 256)
# Those that are used. KVM has PPIs level-sensitive, and SPIs, which it routes to vCPU 0, edge-triggered at first.
PPI, SPI = 20, 40
# Every interrupt whose priority is not the lowest passes.
PMR = 0xF0
# KVM_DEV_ARM_VGIC_GRP_CPU_REGS takes GICC_PMR >> 3.
_PMR_V2_SHIFT = 3


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
    return (*uninitialized(irqchip), INITIALIZE) if irqchip else ()


INITIALIZE = attribute("device", Group.CTRL, gic.CTRL_INIT)


def uninitialized(irqchip: str) -> tuple[Step, ...]:
    """Return the steps that create an interrupt controller, which INITIALIZE makes usable."""
    kind = GICS[irqchip]
    return (
        Device(kind.type),
        attribute("device", Group.ADDR, kind.distributor, struct.pack("<Q", _DISTRIBUTOR)),
        attribute("device", Group.ADDR, kind.cpus, struct.pack("<Q", _CPUS)),
    )


def accept_interrupts(irqchip: str, vcpu: int) -> tuple[Step, ...]:
    """Return the steps that let the interrupt of set_line() reach a vCPU; none without a controller."""
    if not irqchip:
        return ()
    return (
        set_distributor(irqchip, 1, vcpu),
        set_interrupt(irqchip, vcpu, PPI, "irq_enabled", 1),
        set_mask(irqchip, vcpu, PMR),
    )


def set_distributor(irqchip: str, on: int, vcpu: int = 0) -> Ioctl:
    """Return the step that enables the distributor, of which a GICv2 has a view for each vCPU, or disables it."""
    bit = gic.GICD_CTLR_V3_ENABLE_GROUP_1 if GICS[irqchip].is_v3 else gic.GICD_CTLR_V2_ENABLE
    cpu = 0 if GICS[irqchip].is_v3 else vcpu << _CPU_SHIFT
    return attribute("device", Group.DIST_REGS, cpu | gic.GICD_CTLR, struct.pack("<I", bit * on))


def set_mask(irqchip: str, vcpu: int, mask: int) -> Ioctl:
    """Return the step that sets the priority mask of a vCPU: interrupts of a lower number pass."""
    return _cpu_interface(irqchip, vcpu, gic.ICC_PMR_EL1, mask, gic.GICC_PMR, mask >> _PMR_V2_SHIFT)


def set_group(irqchip: str, vcpu: int, on: int) -> Ioctl:
    """Return the step that enables the group of all these interrupts for a vCPU, or disables it."""
    return _cpu_interface(irqchip, vcpu, gic.ICC_IGRPEN1_EL1, on, gic.GICC_CTLR, on)


def _cpu_interface(irqchip: str, vcpu: int, v3: int, value3: int, v2: int, value2: int) -> Ioctl:
    cpu = vcpu << _CPU_SHIFT
    if GICS[irqchip].is_v3:
        return attribute("device", Group.CPU_SYSREGS, cpu | v3, struct.pack("<Q", value3))
    return attribute("device", Group.CPU_REGS, cpu | v2, struct.pack("<I", value2))


# Of an interrupt: the registers that set it and that clear it, by a bit for each interrupt.
_BITS = {
    "irq_enabled": (gic.GICD_ISENABLER0, gic.GICD_ICENABLER0),
    "irq_pending": (gic.GICD_ISPENDR0, gic.GICD_ICPENDR0),
    "irq_active": (gic.GICD_ISACTIVER0, gic.GICD_ICACTIVER0),
}


def set_interrupt(irqchip: str, vcpu: int, number: int, what: str, value: int) -> Ioctl:
    """Return the step that sets one thing of an interrupt: a key of _BITS, or "irq_priority"."""
    is_v3 = GICS[irqchip].is_v3
    if what in _BITS:
        # Userspace also clears what is pending in a GICv3 by GICx_ISPENDRn, which gets the bits as they shall be.
        register = _BITS[what][0 if value or (is_v3 and what == "irq_pending") else 1] + number // 32 * 4
        word = 0 if not value and is_v3 and what == "irq_pending" else 1 << number % 32
    else:
        register, word = gic.GICD_IPRIORITYR0 + number // 4 * 4, value << 8 * (number % 4)
    if number in PPIS and is_v3:
        group, at = Group.REDIST_REGS, vcpu << _CPU_SHIFT | gic.GICR_SGI_FRAME | register
    else:
        group, at = Group.DIST_REGS, (0 if is_v3 else vcpu << _CPU_SHIFT) | register
    return attribute("device", group, at, struct.pack("<I", word))


def set_line(irqchip: str, vcpu: int, level: int) -> Ioctl:
    """Return the step KVM_IRQ_LINE: the input of a vCPU, or with a controller the PPI of accept_interrupts()."""
    return set_ppi(vcpu, PPI, level) if irqchip else _irq_line(IRQ_TYPE_CPU, vcpu, IRQ_CPU_IRQ, level)


def set_ppi(vcpu: int, number: int, level: int) -> Ioctl:
    """Return the step KVM_IRQ_LINE of a PPI of a vCPU."""
    return _irq_line(IRQ_TYPE_PPI, vcpu, number, level)


def set_spi(number: int, level: int) -> Ioctl:
    """Return the step KVM_IRQ_LINE of an SPI."""
    return _irq_line(IRQ_TYPE_SPI, 0, number, level)


def _irq_line(kind: int, vcpu: int, number: int, level: int) -> Ioctl:
    # struct kvm_irq_level: irq, level.
    return Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", kind << 24 | vcpu << 16 | number, level))
