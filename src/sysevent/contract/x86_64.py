"""What claims about x86-64 share: MSRs that cause events, the features they need, and how a guest continues."""

from __future__ import annotations

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.hyperv import CRASH_NOTIFY, MSR_CRASH_CTL, MSR_RESET
from sysevent.abi.mp_state import MpState
from sysevent.abi.x86_64 import RUN_SMM
from sysevent.contract.checks import Check, Exits, Holds, NothingBeyond, Written
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Counters
from sysevent.contract.terms import Need
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.x86_64 import RETURNED_PORT
from sysevent.scenario.x86_64_machine import peers_of

ENTER = "arch/x86/kvm/x86.c, vcpu_enter_guest"
TLFS = "Hyper-V TLFS, 2.4.3 and 2.4.7"
TRIPLE_FAULT_DOC = "Documentation/virt/kvm/api.rst, 5.35 kvm_run; arch/x86/kvm/x86.c, KVM_REQ_TRIPLE_FAULT"
INJECT_DOC = "Documentation/virt/kvm/api.rst, KVM_CAP_X86_TRIPLE_FAULT_EVENT; ed2351174e38, v6.0"
ENFORCE_DOC = "Documentation/virt/kvm/api.rst, KVM_CAP_HYPERV_ENFORCE_CPUID"

HYPERV = Need(
    "Hyper-V enlightenments",
    None,
    Capability.HYPERV.on_system,
    requires="CONFIG_KVM_HYPERV=y (an option since v6.8, b4f69df0f65e), without which the MSRs under test do not exist",
)
ENFORCES = Need(
    "KVM_CAP_HYPERV_ENFORCE_CPUID",
    Capability.HYPERV_ENFORCE_CPUID.since,
    Capability.HYPERV_ENFORCE_CPUID.on_system,
)
TRIPLE_FAULT_EVENT = Need.of(
    "KVM_CAP_X86_TRIPLE_FAULT_EVENT",
    Capability.X86_TRIPLE_FAULT_EVENT,
    Capability.X86_TRIPLE_FAULT_EVENT.on_vm,
)
SMM = Need(
    "System Management Mode",
    None,
    Capability.X86_SMM.on_vm,
    requires="CONFIG_KVM_SMM=y (an option since v6.2)",
)

SVM = Need("AMD's SVM", None, "svm", requires="an AMD processor")
VMX = Need("Intel's VMX", None, "vmx", requires="an Intel processor")
MCE = Need("emulation of machine checks", None, Capability.MCE.on_system, requires="CONFIG_X86_MCE=y")


class Msr(msgspec.Struct, frozen=True):
    """A write to one of Hyper-V's MSRs that causes a system event."""

    # In names of claims: "reset".
    title: str
    # In sentences of claims.
    words: str
    # Index of the MSR, and the value that the guest writes.
    index: int
    value: int
    event_type: int
    # The type's name in sentences of claims: "RESET".
    event_name: str


MSRS = (
    Msr("reset", "HV_X64_MSR_RESET", MSR_RESET, 1, EventType.RESET, "RESET"),
    Msr(
        "crash",
        "HV_X64_MSR_CRASH_CTL with the notify bit",
        MSR_CRASH_CTL,
        CRASH_NOTIFY,
        EventType.CRASH,
        "CRASH",
    ),
)
# Every MSR by its title.
BY_TITLE = {msr.title: msr for msr in MSRS}


def guest_continues(label: str = "exit") -> tuple[Check, ...]:
    """Return the checks that the exit called label is not an event: the guest continued after its instruction."""
    return (Exits(ExitReason.IO, label), Holds("io.port", RETURNED_PORT, label))


def caller_checks(where: Configuration, *, smm: int = RUN_SMM) -> tuple[Check, ...]:
    """Return the checks of the calling vCPU that do not depend on the event: kvm_run.flags, and its MP state.

    smm: the flags of an exit in System Management Mode.
    """
    return (
        Holds("run.flags", smm if where.cpu == "smm" else 0),
        BufferHolds("mp_state", MpState.RUNNABLE),
    )


def peer_checks(where: Configuration) -> tuple[Check, ...]:
    """Return the checks that the peers, and their kvm_run, are as they were before the event."""
    peers = peers_of(where) if where.peers else ()
    if where.peers is Peers.UNSTARTED:
        waiting = MpState.UNINITIALIZED if where.irqchip else MpState.RUNNABLE
        # The vCPU that boots the machine is RUNNABLE from the start.
        return tuple(BufferHolds(f"mp_state {peer}", waiting if peer else MpState.RUNNABLE) for peer in peers)
    asleep = where.peers is Peers.ASLEEP
    checks: list[Check] = []
    for peer in peers:
        label = f"peer {peer}"
        state = MpState.HALTED if asleep else MpState.RUNNABLE
        checks += (
            Blocks(label),
            Written((), label),
            NothingBeyond(label),
            BufferHolds(f"mp_state {peer}", state),
        )
    if peers:
        checks.append(Counters("before", "counted", where.vcpus, running=not asleep, caller=where.caller))
    return tuple(checks)
