"""Steps that are ioctls: the request numbers of abi/ioctls.py with the structures they take, as bytes."""

from __future__ import annotations

import struct

from sysevent.abi.capabilities import fact
from sysevent.abi.ioctls import Request
from sysevent.scenario.steps import Ioctl


def check_extension(fd: str, capability: int) -> Ioctl:
    """KVM_CHECK_EXTENSION on /dev/kvm ("system") or a VM ("vm"), labelled system/215 and the like."""
    return Ioctl(fd, Request.CHECK_EXTENSION, capability, label=fact(fd, capability))


def enable_cap(fd: str | int, capability: int, *arguments: int, flags: int = 0, label: str = "") -> Ioctl:
    """KVM_ENABLE_CAP; struct kvm_enable_cap is 104 bytes."""
    args = [*arguments, *[0] * (4 - len(arguments))]
    buffer = struct.pack("<II4Q64x", capability, flags, *args)
    return Ioctl(fd, Request.ENABLE_CAP, buffer=buffer, label=label)


def get_mp_state(vcpu: int, label: str) -> Ioctl:
    """KVM_GET_MP_STATE; the answer's first u32 is the state. The vCPU must not be inside KVM_RUN."""
    return Ioctl(vcpu, Request.GET_MP_STATE, buffer=b"\xff" * 4, label=label)


def set_mp_state(vcpu: int, state: int, label: str = "") -> Ioctl:
    """KVM_SET_MP_STATE. The vCPU must not be inside KVM_RUN."""
    return Ioctl(vcpu, Request.SET_MP_STATE, buffer=struct.pack("<I", state), label=label)


def get_one_reg(vcpu: int, register: int, label: str) -> Ioctl:
    """KVM_GET_ONE_REG of a 64-bit register; the answer's u64 at 16 is its value."""
    buffer = struct.pack("<QQQ", register, 0, 0)
    return Ioctl(vcpu, Request.GET_ONE_REG, buffer=buffer, pointer=(8, 16), label=label)


def set_one_reg(vcpu: int, register: int, value: int, label: str = "") -> Ioctl:
    """KVM_SET_ONE_REG of a 64-bit register."""
    buffer = struct.pack("<QQQ", register, 0, value)
    return Ioctl(vcpu, Request.SET_ONE_REG, buffer=buffer, pointer=(8, 16), label=label)
