"""System events: KVM_SYSTEM_EVENT_* of include/uapi/linux/kvm.h and of arm64's asm/kvm.h."""

from __future__ import annotations

from typing import Final

from sysevent.abi.number import Number


class EventType(Number):
    """Types of a system event, KVM_SYSTEM_EVENT_*: a value of struct kvm_run.system_event.type."""

    SHUTDOWN = 1
    RESET = 2
    CRASH = 3
    WAKEUP = 4, (5, 19), "7b33a09d036f"
    SUSPEND = 5, (5, 19), "bfbab4456877"
    SEV_TERM = 6, (5, 19), "c24a950ec7d6"
    TDX_FATAL = 7, (6, 16), "79462faa2b2a"


class ResetFlag(Number):
    """KVM_SYSTEM_EVENT_RESET_FLAG_*: bits of data[0] of a RESET."""

    PSCI_RESET2 = 1 << 0, (5, 18), "34739fd95fab", "arm64"


class ShutdownFlag(Number):
    """KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_*: bits of data[0] of a SHUTDOWN."""

    PSCI_OFF2 = 1 << 0, (6, 13), "97413cea1c48", "arm64"


# KVM_SYSTEM_EVENT_NDATA_VALID: the bit of `type` by which c24a950ec7d6 marked a valid ndata. Only release
# candidates of v5.18 had it; d495f942f40a replaced it by a capability.
NDATA_VALID: Final = 1 << 31
