"""What claims about riscv64 share: reset types and reasons, sources, and how a guest continues after its call."""

from __future__ import annotations

import msgspec

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Check, Exits, Holds
from sysevent.scenario.riscv64 import RETURNED_MMIO

SYSTEM_RESET = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_system_reset"
ECALL = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_sbi_ecall"


class ResetType(msgspec.Struct, frozen=True):
    """A type of SBI system reset (SRST) that causes a system event."""

    # In names of claims: "cold_reboot".
    title: str
    # In sentences of claims.
    words: str
    # a0 of the call.
    number: int
    event_type: int
    # The type's name in sentences of claims: "RESET".
    event_name: str


RESET_TYPES = (
    ResetType("shutdown", "shutdown", sbi.SHUTDOWN, EventType.SHUTDOWN, "SHUTDOWN"),
    ResetType("cold_reboot", "cold reboot", sbi.COLD_REBOOT, EventType.RESET, "RESET"),
    ResetType("warm_reboot", "warm reboot", sbi.WARM_REBOOT, EventType.RESET, "RESET"),
)
# The reset reasons, which are a1 of the call: no reason, system failure, the first vendor-specific one, and a number
# without a meaning.
REASONS = (sbi.NO_REASON, sbi.SYSTEM_FAILURE, sbi.VENDOR_REASON, 0xDEAD_BEEF)
# The reason of calls that need only one. Its upper bit is set: a sign extension would show.
REASON = 0xDEAD_BEEF


def guest_continues(label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the exit called label is not an event: the guest continued after its call."""
    return (Exits(ExitReason.MMIO, label), Holds("mmio.phys_addr", RETURNED_MMIO, label))
