"""What claims about riscv64 share: reset types and reasons, sources, and how a guest continues after its call."""

from __future__ import annotations

import msgspec

from sysevent.abi import sbi
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Check, Exits, Holds
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.scenario import aia
from sysevent.scenario.riscv64 import RETURNED_MMIO
from sysevent.scenario.steps import Scenario

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


# KVM of 6.1 has no such register. It came with v6.4, and a claim needs it only from the next long-term kernel on.
ENABLE = Need("register that turns SRST on and off", (6, 12), "sbi.enable.srst")
# In v6.5, but only on a CPU that has it.
AIA = Need(
    "AIA in the kernel (KVM_DEV_TYPE_RISCV_AIA)",
    None,
    aia.AIA,
    requires="v6.5, and a CPU with Ssaia: QEMU's -cpu rv64,h=true,x-ssaia=true from 7.2 on, ssaia=true from 9.0 on",
)
# By the value of Configuration.irqchip.
IRQCHIPS: dict[str, tuple[Need, ...]] = {"": (), aia.AIA: (AIA,)}


def event_claim(
    title: str,
    says: str,
    *,
    asks: Scenario,
    event: tuple[int, int],
    also: tuple[Check, ...] = (),
    source: str,
    needs: tuple[Need, ...] = (),
    label: str = "exit",
) -> ExitClaim:
    """Return the claim that the exit called label is an event of this type with this datum, and that also holds."""
    kind, reason = event
    return ExitClaim(
        title,
        says,
        asks=asks,
        gives=(*system_event(kind, reason, label=label), *also),
        before_5_18=(*old_system_event(kind, reason, label=label), *also),
        source=source,
        needs=needs,
    )


def guest_continues(label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the exit called label is not an event: the guest continued after its call."""
    return (Exits(ExitReason.MMIO, label), Holds("mmio.phys_addr", RETURNED_MMIO, label))
