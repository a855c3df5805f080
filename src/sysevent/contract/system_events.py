"""What claims of every architecture share: the checks of a system event's exit, and the sources that promise it."""

from __future__ import annotations

from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Check, Exits, Holds, NoNdata, NothingBeyond

API = "Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_SYSTEM_EVENT"
IMMEDIATE_EXIT_DOC = "Documentation/virt/kvm/api.rst, kvm_run, immediate_exit"
REPAIR = "d495f942f40a, KVM: fix bad user ABI for KVM_EXIT_SYSTEM_EVENT, v5.18-rc5"


def system_event(kind: int, *data: int, label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the exit called label is a system event of this type, with exactly these data.

    kind is a number of EventType. For kernels of EventDefinition.DATA: since v5.18.
    """
    return (
        Exits(ExitReason.SYSTEM_EVENT, label),
        Holds("type", kind, label),
        Holds("ndata", len(data), label),
        *(Holds(f"data[{n}]", value, label) for n, value in enumerate(data)),
        NothingBeyond(label),
    )


def old_system_event(kind: int, *flags: int, label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the exit called label is a system event of this type, before v5.18.

    With flags its only datum must have that value; without, KVM does not write it (x86-64). The bytes of ndata must
    not look like a count. For kernels of EventDefinition.FLAGS.
    """
    return (
        Exits(ExitReason.SYSTEM_EVENT, label),
        Holds("type", kind, label),
        NoNdata(label),
        *(Holds("flags", value, label) for value in flags),
        NothingBeyond(label),
    )
