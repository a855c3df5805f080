"""What claims about riscv64 share: the reset types, the sources, and how a guest goes on behind its call."""

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
    """One type of SBI system reset, which is a0 of the call."""

    # As in the names of claims: "cold_reboot".
    title: str
    # In words.
    words: str
    number: int
    # The type of the event, and its name.
    event: int
    exits: str


RESET_TYPES = (
    ResetType("shutdown", "shutdown", sbi.SHUTDOWN, EventType.SHUTDOWN, "SHUTDOWN"),
    ResetType("cold_reboot", "cold reboot", sbi.COLD_REBOOT, EventType.RESET, "RESET"),
    ResetType("warm_reboot", "warm reboot", sbi.WARM_REBOOT, EventType.RESET, "RESET"),
)
# None, system failure, first vendor-specific, any.
REASONS = (sbi.NO_REASON, sbi.SYSTEM_FAILURE, sbi.VENDOR_REASON, 0xDEAD_BEEF)
REASON = 0xDEAD_BEEF


def guest_continues(label: str = "exit") -> tuple[Check, ...]:
    """No event: the guest went on behind its call."""
    return (Exits(ExitReason.MMIO, label), Holds("mmio.phys_addr", RETURNED_MMIO, label))
