"""The numbers of this package that the kernel's headers define, by their names there."""

from __future__ import annotations

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.number import Number, Release


class Constant(msgspec.Struct, frozen=True):
    """One constant of include/uapi/linux/kvm.h or arch/*/include/uapi/asm/kvm.h."""

    name: str
    value: int
    # The release that brought the name.
    since: Release
    # The only architecture whose headers have it; "" for all.
    arch: str


# Each table, and what stands before the names of its rows in the headers.
_TABLES: tuple[tuple[type[Number], str], ...] = (
    (ExitReason, "KVM_EXIT_"),
    (EventType, "KVM_SYSTEM_EVENT_"),
    (ResetFlag, "KVM_SYSTEM_EVENT_RESET_FLAG_"),
    (ShutdownFlag, "KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_"),
    (Capability, "KVM_CAP_"),
    (MpState, "KVM_MP_STATE_"),
    (Request, "KVM_"),
)

NUMBERS = tuple(
    Constant(number.macro or f"{prefix}{number.name}", number.value, number.since, number.arch)
    for table, prefix in _TABLES
    for number in table
)
