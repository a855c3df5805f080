"""What claims about arm64 share: the calls that make events, what they need, and how a guest goes on after them."""

from __future__ import annotations

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.psci import Function
from sysevent.contract.checks import Check, Exits, Holds, RegisterHolds
from sysevent.contract.terms import Need
from sysevent.scenario.arm64 import COOKIE, ENABLE_SUSPEND, RAM, RETURNED_MMIO
from sysevent.scenario.steps import Step

PREPARE = "arch/arm64/kvm/psci.c, kvm_prepare_system_event"
CALL = "arch/arm64/kvm/psci.c, kvm_psci_call"
INDICATE = "34739fd95fab, KVM: arm64: Indicate SYSTEM_RESET2 in kvm_run::system_event flags field, v5.18"
HIBERNATE = "97413cea1c48, KVM: arm64: Add PSCI v1.3 SYSTEM_OFF2 function for hibernation, v6.13"
CAP_SUSPEND_DOC = "Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND"
FEATURES_DOC = "Arm DEN0022, PSCI_FEATURES; arch/arm64/kvm/psci.c, kvm_psci_1_x_call"
# Documented in a comment of the kernel alone.
STOPS = (
    "arch/arm64/kvm/psci.c, kvm_prepare_system_event: the comment that begins 'The KVM ABI specifies'; "
    "vCPUs are not run after the call and before they are initialized anew"
)

RESET2 = Need("PSCI SYSTEM_RESET2 (d43583b890e7)", (5, 18), Function.SYSTEM_RESET2.fact)
OFF2 = Need("PSCI SYSTEM_OFF2 (97413cea1c48)", (6, 13), Function.SYSTEM_OFF2.fact)
CAP_SUSPEND = Need("KVM_CAP_ARM_SYSTEM_SUSPEND (bfbab4456877)", (5, 19), Capability.ARM_SYSTEM_SUSPEND.on_vm)
HSR_HIGH = Need("KVM_DEBUG_ARCH_HSR_HIGH_VALID (18f3976fdb5d)", (5, 19), "debug")


class Call(msgspec.Struct, frozen=True):
    """A PSCI call that makes a system event."""

    # As in the names of claims: "reset2".
    title: str
    # As the specification calls it.
    words: str
    # x0 and the arguments behind it.
    registers: tuple[int, ...]
    # What the event holds.
    type: int
    data: tuple[int, ...]
    needs: tuple[Need, ...] = ()
    # What the VM needs before the call.
    setup: tuple[Step, ...] = ()


# The calls after which no vCPU runs.
FINAL = (
    Call("off", "SYSTEM_OFF", (Function.SYSTEM_OFF,), EventType.SHUTDOWN, (0,)),
    Call("reset", "SYSTEM_RESET", (Function.SYSTEM_RESET,), EventType.RESET, (0,)),
    Call(
        "reset2",
        "SYSTEM_RESET2",
        (Function.SYSTEM_RESET2, 0, COOKIE),
        EventType.RESET,
        (ResetFlag.PSCI_RESET2,),
        (RESET2,),
    ),
    Call(
        "off2",
        "SYSTEM_OFF2",
        (Function.SYSTEM_OFF2, 0, 0),
        EventType.SHUTDOWN,
        (ShutdownFlag.PSCI_OFF2,),
        (OFF2,),
    ),
)
# A suspend is decided by userspace: nothing is stopped.
SUSPEND = Call(
    "suspend",
    "SYSTEM_SUSPEND",
    (Function.SYSTEM_SUSPEND, RAM, 0xC0DE),
    EventType.SUSPEND,
    (),
    (CAP_SUSPEND,),
    (ENABLE_SUSPEND,),
)
BY_TITLE = {call.title: call for call in (*FINAL, SUSPEND)}


def guest_continues(x0: int, label: str = "exit") -> tuple[Check, ...]:
    """No event: the guest went on behind its call, with this in x0."""
    return (
        Exits(ExitReason.MMIO, label),
        Holds("mmio.phys_addr", RETURNED_MMIO, label),
        RegisterHolds("x0", x0, label),
    )


def unchanged_registers(first: int, label: str = "exit") -> tuple[Check, ...]:
    """The registers from x<first> to x15 hold what the guest had in them: SMC Calling Convention, DEN0028."""
    return tuple(RegisterHolds(f"x{n}", 0x5E00 + n, label) for n in range(first, 16))
