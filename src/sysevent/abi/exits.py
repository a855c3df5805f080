"""Exit reasons: KVM_EXIT_* of include/uapi/linux/kvm.h, what struct kvm_run.exit_reason holds."""

from __future__ import annotations

from sysevent.abi.number import Number


class ExitReason(Number):
    """Why KVM_RUN returned, KVM_EXIT_*: a value of struct kvm_run.exit_reason."""

    UNKNOWN = 0
    EXCEPTION = 1
    IO = 2
    HYPERCALL = 3
    DEBUG = 4
    HLT = 5
    MMIO = 6
    IRQ_WINDOW_OPEN = 7
    SHUTDOWN = 8
    FAIL_ENTRY = 9
    INTR = 10
    INTERNAL_ERROR = 17
    SYSTEM_EVENT = 24
    ARM_NISV = 28, (5, 5), "c726200dd106"
    X86_RDMSR = 29, (5, 10)
    X86_WRMSR = 30, (5, 10)
    XEN = 34, (5, 12), "23200b7a30de"
    RISCV_SBI = 35, (5, 16)
    RISCV_CSR = 36, (5, 19)
    MEMORY_FAULT = 39, (6, 8)
