"""Rows that every architecture has, and the checks that rows share."""

from __future__ import annotations

from sysevent.contract.checks import Check, Exits, Gives, Holds, NoNdata, NothingBeyond
from sysevent.contract.claim import Claim
from sysevent.model import Level

EXIT_SYSTEM_EVENT = 24
EXIT_SHUTDOWN = 8
SHUTDOWN, RESET, CRASH = 1, 2, 3

API = "Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_SYSTEM_EVENT"
REPAIR = "d495f942f40a, KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT, v5.18-rc5"


def system_event(kind: int, *data: int) -> tuple[Check, ...]:
    """The exit, its type, and exactly these data."""
    return (
        Exits(EXIT_SYSTEM_EVENT),
        Holds("type", kind),
        Holds("ndata", len(data)),
        *(Holds(f"data[{n}]", value) for n, value in enumerate(data)),
        NothingBeyond(),
    )


def old_system_event(kind: int, *flags: int) -> tuple[Check, ...]:
    """The exit as it was before capability 215: type, flags where something wrote them, and no ndata."""
    return (
        Exits(EXIT_SYSTEM_EVENT),
        Holds("type", kind),
        NoNdata(),
        *(Holds("flags", value) for value in flags),
        NothingBeyond(),
    )


def capability(arch: str) -> Claim:
    """KVM_CAP_SYSTEM_EVENT_DATA on both file descriptors, or on neither."""
    return Claim(
        name=f"{arch}.capability",
        says="KVM_CAP_SYSTEM_EVENT_DATA (215) is 1 on /dev/kvm and on a VM since v5.18, and 0 on both before.",
        scenario=f"{arch}.facts",
        level=Level.ABI,
        source=f"{API}; virt/kvm/kvm_main.c, kvm_vm_ioctl_check_extension_generic; {REPAIR}",
        checks=(Gives("system/215", 1), Gives("vm/215", 1)),
        before=(Gives("system/215", 0), Gives("vm/215", 0)),
    )
