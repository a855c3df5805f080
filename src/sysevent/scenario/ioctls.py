"""Steps that are ioctls: the request numbers of abi/ioctls.py, with their structures as bytes.

With a label the result is an answer of the scenario, also when the kernel refuses the ioctl; without one, a refusal
ends the scenario. vcpu is the index of a vCPU.
"""

from __future__ import annotations

import struct

from sysevent.abi.capabilities import fact
from sysevent.abi.ioctls import Request
from sysevent.scenario.steps import Ioctl

# struct kvm_one_reg: the register's id, and a pointer to its value, which comes next in the buffers of these steps.
_ONE_REG_POINTER = 8
ONE_REG_VALUE = 16


def check_extension(fd: str, capability: int) -> Ioctl:
    """Return the step KVM_CHECK_EXTENSION on /dev/kvm (fd "system") or on the VM (fd "vm").

    Its label is the key in Facts.capabilities: "system/215".
    """
    return Ioctl(fd, Request.CHECK_EXTENSION, capability, label=fact(fd, capability))


def enable_cap(fd: str | int, capability: int, *arguments: int, flags: int = 0, label: str = "") -> Ioctl:
    """Return the step KVM_ENABLE_CAP on the VM (fd "vm") or on a vCPU, with up to four arguments.

    struct kvm_enable_cap is 104 bytes.
    """
    args = [*arguments, *[0] * (4 - len(arguments))]
    buffer = struct.pack("<II4Q64x", capability, flags, *args)
    return Ioctl(fd, Request.ENABLE_CAP, buffer=buffer, label=label)


def get_mp_state(vcpu: int, label: str) -> Ioctl:
    """Return the step KVM_GET_MP_STATE: the state is the first u32 of the answer. The vCPU must not be in KVM_RUN."""
    return Ioctl(vcpu, Request.GET_MP_STATE, buffer=b"\xff" * 4, label=label)


def set_mp_state(vcpu: int, state: int, label: str = "") -> Ioctl:
    """Return the step KVM_SET_MP_STATE. The vCPU must not be in KVM_RUN."""
    return Ioctl(vcpu, Request.SET_MP_STATE, buffer=struct.pack("<I", state), label=label)


def get_one_reg(vcpu: int, register: int, label: str) -> Ioctl:
    """Return the step KVM_GET_ONE_REG of a 64-bit register: its value is the u64 at ONE_REG_VALUE of the answer."""
    buffer = struct.pack("<QQQ", register, 0, 0)
    return Ioctl(
        vcpu, Request.GET_ONE_REG, buffer=buffer, pointer=(_ONE_REG_POINTER, ONE_REG_VALUE), label=label
    )


def set_one_reg(vcpu: int, register: int, value: int, label: str = "") -> Ioctl:
    """Return the step KVM_SET_ONE_REG of a 64-bit register."""
    buffer = struct.pack("<QQQ", register, 0, value)
    return Ioctl(
        vcpu, Request.SET_ONE_REG, buffer=buffer, pointer=(_ONE_REG_POINTER, ONE_REG_VALUE), label=label
    )
