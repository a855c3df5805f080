"""What a vCPU is doing: KVM_MP_STATE_* of include/uapi/linux/kvm.h, in struct kvm_mp_state."""

from __future__ import annotations

from sysevent.abi.number import Number


class MpState(Number):
    """States of a vCPU, KVM_MP_STATE_*: a value of struct kvm_mp_state.mp_state."""

    RUNNABLE = 0
    UNINITIALIZED = 1
    INIT_RECEIVED = 2
    HALTED = 3
    SIPI_RECEIVED = 4
    STOPPED = 5
    AP_RESET_HOLD = 9, (5, 11), "647daca25d24"
    SUSPENDED = 10, (5, 19), "7b33a09d036f"
