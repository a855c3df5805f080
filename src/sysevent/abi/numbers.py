"""Numbers of the KVM ABI by their names in the headers: frozen, since programs have them compiled in.

include/uapi/linux/kvm.h and arch/arm64/include/uapi/asm/kvm.h; `since` is the release that brought the name.
"""

from __future__ import annotations

import msgspec

from sysevent.abi import names
from sysevent.scenario import ioctls

_ANCIENT = (4, 4)  # older than any kernel that this suite is about


class Number(msgspec.Struct, frozen=True):
    """One constant."""

    name: str
    value: int
    since: tuple[int, int] = _ANCIENT
    arch: str = ""  # the only architecture whose headers have it; "" for all


_EXITS_SINCE = {
    "ARM_NISV": (5, 5),
    "X86_RDMSR": (5, 10),
    "X86_WRMSR": (5, 10),
    "XEN": (5, 12),
    "RISCV_SBI": (5, 16),
    "RISCV_CSR": (5, 19),
    "MEMORY_FAULT": (6, 8),
}
_TYPES_SINCE = {"WAKEUP": (5, 19), "SUSPEND": (5, 19), "SEV_TERM": (5, 19), "TDX_FATAL": (6, 16)}

NUMBERS = (
    *(
        Number(f"KVM_EXIT_{name}", value, _EXITS_SINCE.get(name, _ANCIENT))
        for value, name in names.EXIT_REASONS.items()
    ),
    *(
        Number(f"KVM_SYSTEM_EVENT_{name}", value, _TYPES_SINCE.get(name, _ANCIENT))
        for value, name in names.EVENT_TYPES.items()
    ),
    Number("KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2", 1, (5, 18), "arm64"),  # 34739fd95fab
    Number("KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_PSCI_OFF2", 1, (6, 13), "arm64"),  # 97413cea1c48
    Number("KVM_CAP_HYPERV_ENFORCE_CPUID", ioctls.CAP_HYPERV_ENFORCE_CPUID, (5, 14)),
    Number("KVM_CAP_SYSTEM_EVENT_DATA", ioctls.CAP_SYSTEM_EVENT_DATA, (5, 18)),  # d495f942f40a
    Number("KVM_CAP_ARM_SYSTEM_SUSPEND", ioctls.CAP_ARM_SYSTEM_SUSPEND, (5, 19)),  # bfbab4456877
    Number("KVM_CAP_X86_TRIPLE_FAULT_EVENT", ioctls.CAP_X86_TRIPLE_FAULT_EVENT, (6, 0)),
    Number("KVM_MP_STATE_RUNNABLE", ioctls.MP_RUNNABLE),
    Number("KVM_MP_STATE_STOPPED", ioctls.MP_STOPPED),
    Number("KVM_MP_STATE_SUSPENDED", ioctls.MP_SUSPENDED, (5, 19)),  # 7b33a09d036f
    Number("KVM_CHECK_EXTENSION", ioctls.CHECK_EXTENSION),
    Number("KVM_GET_MP_STATE", ioctls.GET_MP_STATE),
    Number("KVM_SET_MP_STATE", ioctls.SET_MP_STATE),
    Number("KVM_GET_ONE_REG", ioctls.GET_ONE_REG),
    Number("KVM_SET_ONE_REG", ioctls.SET_ONE_REG),
    Number("KVM_ENABLE_CAP", ioctls.ENABLE_CAP),
    Number("KVM_SET_CPUID2", ioctls.SET_CPUID2, arch="x86_64"),
    Number("KVM_GET_MSRS", ioctls.GET_MSRS, arch="x86_64"),
)
