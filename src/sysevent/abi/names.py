"""Numbers of the KVM ABI and what they are called: include/uapi/linux/kvm.h, frozen."""

from __future__ import annotations

EXIT_REASONS = {
    0: "UNKNOWN",
    1: "EXCEPTION",
    2: "IO",
    3: "HYPERCALL",
    4: "DEBUG",
    5: "HLT",
    6: "MMIO",
    7: "IRQ_WINDOW_OPEN",
    8: "SHUTDOWN",
    9: "FAIL_ENTRY",
    10: "INTR",
    17: "INTERNAL_ERROR",
    24: "SYSTEM_EVENT",
    28: "ARM_NISV",
    29: "X86_RDMSR",
    30: "X86_WRMSR",
    34: "XEN",
    35: "RISCV_SBI",
    36: "RISCV_CSR",
    39: "MEMORY_FAULT",
}

EVENT_TYPES = {
    1: "SHUTDOWN",
    2: "RESET",
    3: "CRASH",
    4: "WAKEUP",
    5: "SUSPEND",
    6: "SEV_TERM",
    7: "TDX_FATAL",
}

ERRNOS = {
    1: "EPERM",
    2: "ENOENT",
    4: "EINTR",
    5: "EIO",
    6: "ENXIO",
    7: "E2BIG",
    8: "ENOEXEC",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    14: "EFAULT",
    16: "EBUSY",
    17: "EEXIST",
    19: "ENODEV",
    22: "EINVAL",
    25: "ENOTTY",
    38: "ENOSYS",
    110: "ETIMEDOUT",
}


def exit_reason(number: int) -> str:
    return f"{number} ({EXIT_REASONS[number]})" if number in EXIT_REASONS else _bare(number)


def event_type(number: int) -> str:
    return f"{number} ({EVENT_TYPES[number]})" if number in EVENT_TYPES else _bare(number)


def errno(number: int) -> str:
    return f"{number} ({ERRNOS[number]})" if number in ERRNOS else str(number)


def _bare(number: int) -> str:
    return str(number) if number < 1000 else f"{number:#x}"
