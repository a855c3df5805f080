"""Rows that every architecture has, and the checks that rows share."""

from __future__ import annotations

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.contract.around import Gives
from sysevent.contract.checks import Check, Exits, Holds, NoNdata, NothingBeyond
from sysevent.contract.claim import Claim, Need
from sysevent.model import Level

EXIT_SYSTEM_EVENT, EXIT_SHUTDOWN = ExitReason.SYSTEM_EVENT, ExitReason.SHUTDOWN
EXIT_IO, EXIT_HYPERCALL, EXIT_DEBUG = ExitReason.IO, ExitReason.HYPERCALL, ExitReason.DEBUG
EXIT_MMIO, EXIT_RISCV_SBI = ExitReason.MMIO, ExitReason.RISCV_SBI
SHUTDOWN, RESET, CRASH = EventType.SHUTDOWN, EventType.RESET, EventType.CRASH
WAKEUP, SUSPEND = EventType.WAKEUP, EventType.SUSPEND

API = "Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_SYSTEM_EVENT"
REPAIR = "d495f942f40a, KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT, v5.18-rc5"


def system_event(kind: int, *data: int, label: str = "exit") -> tuple[Check, ...]:
    """The exit, its type, and exactly these data."""
    return (
        Exits(EXIT_SYSTEM_EVENT, label),
        Holds("type", kind, label),
        Holds("ndata", len(data), label),
        *(Holds(f"data[{n}]", value, label) for n, value in enumerate(data)),
        NothingBeyond(label),
    )


def old_system_event(kind: int, *flags: int, label: str = "exit") -> tuple[Check, ...]:
    """The exit as it was before capability 215: type, flags where something wrote them, and no ndata."""
    return (
        Exits(EXIT_SYSTEM_EVENT, label),
        Holds("type", kind, label),
        NoNdata(label),
        *(Holds("flags", value, label) for value in flags),
        NothingBeyond(label),
    )


def row(
    arch: str,
    name: str,
    says: str,
    source: str,
    checks: tuple[Check, ...],
    *needs: Need,
    scenario: str = "",
    level: Level = Level.ABI,
    before: tuple[Check, ...] | None = None,
    abi: str = "",
) -> Claim:
    """A claim of one architecture; its scenario has its name, unless another is given."""
    return Claim(
        name=f"{arch}.{name}",
        says=says,
        scenario=f"{arch}.{scenario or name}",
        level=level,
        source=source,
        checks=checks,
        before=before,
        needs=needs,
        abi=abi,
    )


def capability(arch: str) -> Claim:
    """KVM_CAP_SYSTEM_EVENT_DATA on both file descriptors, or on neither."""
    return row(
        arch,
        "capability",
        "KVM_CAP_SYSTEM_EVENT_DATA (215) is 1 on /dev/kvm and on a VM since v5.18, and 0 on both before.",
        f"{API}; virt/kvm/kvm_main.c, kvm_vm_ioctl_check_extension_generic; {REPAIR}",
        (Gives(Capability.SYSTEM_EVENT_DATA.on_system, 1), Gives(Capability.SYSTEM_EVENT_DATA.on_vm, 1)),
        scenario="facts",
        before=(
            Gives(Capability.SYSTEM_EVENT_DATA.on_system, 0),
            Gives(Capability.SYSTEM_EVENT_DATA.on_vm, 0),
        ),
    )
