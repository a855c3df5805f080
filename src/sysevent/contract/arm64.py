"""What claims about arm64 share: calls that cause events, the features they need, and how a guest continues."""

from __future__ import annotations

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType, ResetFlag, ShutdownFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.psci import Function
from sysevent.contract.checks import Check, Exits, Holds, RegisterHolds
from sysevent.contract.terms import Need
from sysevent.scenario.arm64 import CONTEXT, COOKIE, ENABLE_SUSPEND, RAM, RETURNED_MMIO
from sysevent.scenario.steps import Step

PREPARE = "arch/arm64/kvm/psci.c, kvm_prepare_system_event"
CALL = "arch/arm64/kvm/psci.c, kvm_psci_call"
INDICATE = "34739fd95fab, KVM: arm64: Indicate SYSTEM_RESET2 in kvm_run::system_event flags field, v5.18"
HIBERNATE = "97413cea1c48, KVM: arm64: Add PSCI v1.3 SYSTEM_OFF2 function for hibernation, v6.13"
CAP_SUSPEND_DOC = "Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND"
FEATURES_DOC = "Arm DEN0022, PSCI_FEATURES; arch/arm64/kvm/psci.c, kvm_psci_1_x_call"
# Only a comment in the kernel documents that a final event stops every vCPU.
STOPS = (
    "arch/arm64/kvm/psci.c, kvm_prepare_system_event: the comment that begins 'The KVM ABI specifies'; "
    "vCPUs are not run after the call and before they are initialized again"
)

RESET2 = Need.of("PSCI SYSTEM_RESET2", Function.SYSTEM_RESET2, Function.SYSTEM_RESET2.fact)
OFF2 = Need.of("PSCI SYSTEM_OFF2", Function.SYSTEM_OFF2, Function.SYSTEM_OFF2.fact)
CAP_SUSPEND = Need.of(
    "KVM_CAP_ARM_SYSTEM_SUSPEND", Capability.ARM_SYSTEM_SUSPEND, Capability.ARM_SYSTEM_SUSPEND.on_vm
)
GICV3 = Need(
    "GICv3 in the kernel (KVM_DEV_TYPE_ARM_VGIC_V3)",
    None,
    "gicv3",
    requires="a machine whose own GIC is a GICv3 or later",
)
GICV2 = Need(
    "GICv2 in the kernel (KVM_DEV_TYPE_ARM_VGIC_V2)",
    None,
    "gicv2",
    requires="a machine whose own GIC is a GICv2, or a GICv3 that emulates one for guests (--target arm64-gicv2)",
)
# By the value of Configuration.irqchip.
IRQCHIPS: dict[str, tuple[Need, ...]] = {"": (), "gicv3": (GICV3,), "gicv2": (GICV2,)}
HSR_HIGH = Need("KVM_DEBUG_ARCH_HSR_HIGH_VALID (18f3976fdb5d)", (5, 19), "debug")


class Call(msgspec.Struct, frozen=True):
    """A PSCI call that causes a system event."""

    # In names of claims: "reset2".
    title: str
    # In sentences of claims: the call's name in the specification.
    words: str
    # The function ID, and the arguments: x0, x1, …
    registers: tuple[int, ...]
    event_type: int
    event_data: tuple[int, ...]
    # What the kernel must have.
    needs: tuple[Need, ...] = ()
    # Steps between the vCPU's creation and the call.
    setup: tuple[Step, ...] = ()


# The calls after which KVM runs no vCPU.
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
# After this call userspace decides: KVM stops no vCPU.
SUSPEND = Call(
    "suspend",
    "SYSTEM_SUSPEND",
    (Function.SYSTEM_SUSPEND, RAM, CONTEXT),
    EventType.SUSPEND,
    (),
    (CAP_SUSPEND,),
    (ENABLE_SUSPEND,),
)
# Every call by its title.
BY_TITLE = {call.title: call for call in (*FINAL, SUSPEND)}


def guest_continues(x0: int, label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the exit called label is not an event: the guest continued, with this x0."""
    return (
        Exits(ExitReason.MMIO, label),
        Holds("mmio.phys_addr", RETURNED_MMIO, label),
        RegisterHolds("x0", x0, label),
    )


def returns(label: str, x0: int) -> tuple[Check, ...]:
    """Return the checks that a call, whose exit is called label, came back with this x0 and zeros in x1 to x3."""
    return (*guest_continues(x0, label), *(RegisterHolds(f"x{n}", 0, label) for n in (1, 2, 3)))


def unchanged_registers(first: int, label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the registers x<first> to x15 hold what registers() of scenario/arm64.py put there.

    The SMC Calling Convention (Arm DEN0028) preserves them.
    """
    return tuple(RegisterHolds(f"x{n}", 0x5E00 + n, label) for n in range(first, 16))
