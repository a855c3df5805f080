"""KVM's ioctls and capabilities by number: include/uapi/linux/kvm.h, frozen. The numbers carry structure sizes."""

from __future__ import annotations

import struct

from sysevent.scenario.steps import Ioctl

CHECK_EXTENSION = 0xAE03
GET_MP_STATE = 0x8004AE98
SET_MP_STATE = 0x4004AE99
GET_ONE_REG = 0x4010AEAB
SET_ONE_REG = 0x4010AEAC
SET_CPUID2 = 0x4008AE90
ENABLE_CAP = 0x4068AEA3
GET_MSRS = 0xC008AE88
SET_MSRS = 0x4008AE89
SET_TSS_ADDR = 0xAE47
IRQ_LINE = 0x4008AE61
SET_DEVICE_ATTR = 0x4018AEE1
HAS_DEVICE_ATTR = 0x4018AEE3
ARM_VCPU_INIT = 0x4020AEAE
SET_GUEST_DEBUG_ARM64 = 0x4208AE9B  # struct kvm_guest_debug is 520 bytes on arm64
SET_GUEST_DEBUG_X86 = 0x4048AE9B  # and 72 on x86
SET_VCPU_EVENTS_X86 = 0x4040AEA0  # struct kvm_vcpu_events is 64 bytes

CAP_HYPERV_ENFORCE_CPUID = 199
CAP_HYPERV = 44
CAP_SYSTEM_EVENT_DATA = 215
CAP_ARM_SYSTEM_SUSPEND = 216
CAP_X86_TRIPLE_FAULT_EVENT = 218

MP_RUNNABLE = 0
MP_STOPPED = 5
MP_SUSPENDED = 10


def check_extension(fd: str, capability: int) -> Ioctl:
    """KVM_CHECK_EXTENSION on /dev/kvm ("system") or a VM ("vm"), labelled system/215 and the like."""
    return Ioctl(fd, CHECK_EXTENSION, capability, label=f"{fd}/{capability}")


def enable_cap(fd: str | int, capability: int, *arguments: int, flags: int = 0, label: str = "") -> Ioctl:
    """KVM_ENABLE_CAP; struct kvm_enable_cap is 104 bytes."""
    args = [*arguments, *[0] * (4 - len(arguments))]
    buffer = struct.pack("<II4Q64x", capability, flags, *args)
    return Ioctl(fd, ENABLE_CAP, buffer=buffer, label=label)


def get_mp_state(vcpu: int, label: str) -> Ioctl:
    """KVM_GET_MP_STATE; the answer's first u32 is the state. The vCPU must not be inside KVM_RUN."""
    return Ioctl(vcpu, GET_MP_STATE, buffer=b"\xff" * 4, label=label)


def set_mp_state(vcpu: int, state: int, label: str = "") -> Ioctl:
    return Ioctl(vcpu, SET_MP_STATE, buffer=struct.pack("<I", state), label=label)


def get_one_reg(vcpu: int, register: int, label: str) -> Ioctl:
    """KVM_GET_ONE_REG of a 64-bit register; the answer's u64 at 16 is its value."""
    buffer = struct.pack("<QQQ", register, 0, 0)
    return Ioctl(vcpu, GET_ONE_REG, buffer=buffer, pointer=(8, 16), label=label)


def set_one_reg(vcpu: int, register: int, value: int, label: str = "") -> Ioctl:
    buffer = struct.pack("<QQQ", register, 0, value)
    return Ioctl(vcpu, SET_ONE_REG, buffer=buffer, pointer=(8, 16), label=label)
