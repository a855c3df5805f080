"""Steps that make an interrupt controller in the kernel for a riscv64 guest, and interrupts with and without one.

arch/riscv/kvm/aia_device.c. The guest never touches the controller.
"""

from __future__ import annotations

import struct

from sysevent.abi import aia, gic
from sysevent.abi.ioctls import Request
from sysevent.scenario.gic import attribute
from sysevent.scenario.steps import Device, Ioctl, Step

# The value of Configuration.irqchip, and the name of the fact that KVM offers it.
AIA = "aia"
# Guest physical addresses: neither memory nor RETURNED_MMIO of scenario/riscv64.py. One page for each hart follows.
_APLIC = 0x0C00_0000
_IMSICS, _PAGE = 0x2800_0000, 0x1000
# Wired interrupts; fewer than aia.IDS_MIN.
SOURCES = 31
# Interrupts of each IMSIC: one that a source is to send, another one.
IDENTITY, OTHER = 5, 40
# Of KVM_INTERRUPT: KVM_INTERRUPT_SET of include/uapi/linux/kvm.h, an external interrupt is pending.
_SET = 0xFFFF_FFFF


def exists() -> Ioctl:
    """Return the step that says whether KVM offers the controller, as the fact AIA."""
    buffer = struct.pack("<III", aia.DEVICE_TYPE, 0, gic.CREATE_DEVICE_TEST)
    return Ioctl("vm", Request.CREATE_DEVICE, buffer=buffer, label=AIA)


def controller(irqchip: str, vcpus: int) -> tuple[Step, ...]:
    """Return the steps that create and initialize the controller, when all harts exist; none without one."""
    if not irqchip:
        return ()
    config = (
        (aia.CONFIG_MODE, aia.MODE_EMULATION),
        (aia.CONFIG_IDS, aia.IDS_MIN),
        (aia.CONFIG_SOURCES, SOURCES),
        (aia.CONFIG_HART_BITS, (vcpus - 1).bit_length()),
    )
    addresses = (_APLIC, *(_IMSICS + _PAGE * hart for hart in range(vcpus)))
    return (
        Device(aia.DEVICE_TYPE),
        *(
            attribute("device", aia.GROUP_CONFIG, number, struct.pack("<I", value))
            for number, value in config
        ),
        *(
            attribute("device", aia.GROUP_ADDRESS, aia.ADDRESS_APLIC + number, struct.pack("<Q", address))
            for number, address in enumerate(addresses)
        ),
        attribute("device", aia.GROUP_CONTROL, aia.CONTROL_INIT),
    )


def interrupt(vcpu: int) -> Ioctl:
    """Return the step KVM_INTERRUPT: an external interrupt is pending for a hart, which may be in KVM_RUN."""
    return Ioctl(vcpu, Request.INTERRUPT, buffer=struct.pack("<I", _SET))


def set_aplic(register: int, value: int) -> Ioctl:
    """Return the step that writes a register of the APLIC."""
    return attribute("device", aia.GROUP_APLIC, register, struct.pack("<I", value))


def set_imsic(vcpu: int, register: int, value: int) -> Ioctl:
    """Return the step that writes a register of a hart's IMSIC. It waits while the hart is in KVM_RUN."""
    at = vcpu << aia.IMSIC_HART_SHIFT | register
    return attribute("device", aia.GROUP_IMSIC, at, struct.pack("<Q", value))


def accept_interrupts(vcpu: int) -> tuple[Step, ...]:
    """Return the steps that let IDENTITY reach a hart, if its sie does."""
    return (
        set_imsic(vcpu, aia.IMSIC_EIDELIVERY, 1),
        set_imsic(vcpu, aia.IMSIC_EIE0, 1 << IDENTITY),
    )


def send_interrupts() -> tuple[Step, ...]:
    """Return the steps after which source 1 of the APLIC sends IDENTITY to hart 0 as its input rises."""
    return (
        set_aplic(aia.APLIC_DOMAINCFG, aia.APLIC_DOMAINCFG_IE),
        set_aplic(aia.APLIC_SOURCECFG1, aia.SOURCE_EDGE_RISE),
        set_aplic(aia.APLIC_TARGET1, IDENTITY),
        set_aplic(aia.APLIC_SETIENUM, 1),
    )


def signal_msi(vcpu: int, number: int) -> Ioctl:
    """Return the step KVM_SIGNAL_MSI of an interrupt to the page of a hart's IMSIC."""
    # struct kvm_msi: address, data, flags, devid.
    buffer = struct.pack("<QIII12x", _IMSICS + _PAGE * vcpu, number, 0, 0)
    return Ioctl("vm", Request.SIGNAL_MSI, buffer=buffer)


def set_source(number: int, level: int) -> Ioctl:
    """Return the step KVM_IRQ_LINE: the input of a source of the APLIC."""
    return Ioctl("vm", Request.IRQ_LINE, buffer=struct.pack("<II", number, level))
