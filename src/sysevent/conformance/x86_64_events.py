"""What KVM has to deliver to an x86 vCPU, which ends its sleep and its KVM_RUN: requests, NMIs, machine checks."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from sysevent.abi import kvm_run
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.x86_64 import MCI_STATUS_UC, MCI_STATUS_VAL
from sysevent.conformance import x86_64_rules as rule
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Answer, Page
from sysevent.conformance.rules import Rule
from sysevent.conformance.x86_64_apic import awake
from sysevent.conformance.x86_64_msrs import BLOCKING, Machine, Vcpu

Asked = Iterator[tuple[Machine, Rule, Answer]]
# NMIs that are counted: KVM keeps two.
_MOST_NMIS = 3


def _without_data(page: Page, kind: int) -> Page:
    """Return the page of a system event of which KVM writes type and ndata alone."""
    return page.exit(ExitReason.SYSTEM_EVENT).write(kvm_run.TYPE.offset, struct.pack("<II", kind, 0))


def requested(m: Machine, n: int) -> Next | None:
    """Return the machine after the first of the events that are requested; None if there is none, or it must wait.

    KVM looks for NMIs behind the triple fault, and in front of the others (vcpu_enter_guest).
    """
    vcpu = m.vcpus[n]
    if vcpu.mp_state in BLOCKING:
        return None
    others = vcpu.triple_fault + vcpu.crash + vcpu.reset > 1
    if vcpu.triple_fault:
        why = rule.ORDER if others else rule.TRIPLE_FAULT
        return m.done(n, why, vcpu.page.exit(ExitReason.SHUTDOWN), triple_fault=False), why
    looked = m.replace(n, _counted(vcpu, requested=False))
    if vcpu.crash:
        why = rule.ORDER if others else rule.CRASH
        return looked.done(n, why, _without_data(vcpu.page, EventType.CRASH), crash=False), why
    if vcpu.reset:
        return looked.done(n, rule.RESET, _without_data(vcpu.page, EventType.RESET), reset=False), rule.RESET
    return None


def woken(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after a vCPU that sleeps has found that it must not."""
    vcpu = m.vcpus[n]
    runs = m.put(n, mp_state=MpState.RUNNABLE, kicked=False)
    if started := awake(m, n):
        yield started
    elif vcpu.triple_fault:
        yield runs, rule.WAKES
    elif vcpu.kicked:
        yield runs, rule.KICKED
    elif vcpu.nmi_requested or (vcpu.nmis and not vcpu.nmi_masked):
        yield runs, rule.NMI_WAKES


def deliver_nmi(m: Machine, n: int) -> Iterator[Next]:
    """Yield the machine after an NMI has come to a guest without an IDT: a triple fault. Nothing if none can come.

    SVM's intercept resets the vCPU, but leaves NMIs masked; a CPU that masks NMIs itself (vNMI) does not. VMX leaves
    the vCPU, and the NMI that was to be delivered still is.
    """
    vcpu = _begun(_counted(m.vcpus[n], requested=False))
    if not vcpu.nmi_injected:
        return
    page = vcpu.page.exit(ExitReason.SHUTDOWN)
    shut = m.replace(n, vcpu).done(n, rule.NMI, page, general=None, rip=0)
    yield shut.put(n, nmis=0, nmi_injected=False), rule.NMI
    yield shut.put(n, nmis=0, nmi_injected=False, nmi_masked=False), rule.NMI
    yield shut, rule.NMI


def interrupted(m: Machine, n: int, why: Rule) -> Machine:
    """Return the machine after a signal has ended KVM_RUN of a vCPU, which gives up the delivery of an NMI."""
    vcpu = m.vcpus[n]
    if vcpu.mp_state == MpState.RUNNABLE:
        m = m.replace(n, _begun(_counted(vcpu, requested=False)))
    ended: Machine = m.interrupted(n, why)
    return ended


def _counted(vcpu: Vcpu, *, requested: bool) -> Vcpu:
    """Return a vCPU of which KVM has counted the NMIs: one at most while they are masked."""
    nmis = min(vcpu.nmis, 1 if vcpu.nmi_masked else 2)
    return msgspec.structs.replace(vcpu, nmis=nmis, nmi_requested=requested)


def _begun(vcpu: Vcpu) -> Vcpu:
    """Return a vCPU after the delivery of an NMI has begun, if one can come: it masks the next ones."""
    if vcpu.nmi_masked or not vcpu.nmis:
        return vcpu
    return msgspec.structs.replace(vcpu, nmis=vcpu.nmis - 1, nmi_injected=True, nmi_masked=True)


def send_nmi(m: Machine, n: int) -> Asked:
    """Yield the machine after KVM_NMI."""
    nmis = min(m.vcpus[n].nmis + 1, _MOST_NMIS)
    yield m.put(n, nmis=nmis, nmi_requested=True), rule.SEND_NMI, Answer()


def inject_triple_fault(m: Machine, n: int, pending: int) -> Asked:
    """Yield the machine after KVM_SET_VCPU_EVENTS of triple_fault.pending.

    All else that its structure holds is 0, and set, also if this is refused: an NMI whose delivery has begun is gone,
    and none is masked. A CPU that keeps pending NMIs itself (vNMI) has it still.
    """
    vcpu = _counted(m.vcpus[n], requested=m.vcpus[n].nmi_requested)
    for left in dict.fromkeys((False, vcpu.nmi_injected)):
        now = m.replace(n, msgspec.structs.replace(vcpu, nmi_injected=left, nmi_masked=left))
        if m.triple_faults:
            yield now.put(n, triple_fault=bool(pending)), rule.TRIPLE_FAULT, Answer()
        else:
            yield now, rule.TRIPLE_FAULT_REFUSED, Answer(Errno.EINVAL)


def machine_check(m: Machine, n: int, status: int) -> Asked:
    """Yield the machine after KVM_X86_SET_MCE: CR4.MCE is 0 in every guest of the model."""
    if not status & MCI_STATUS_VAL:
        yield m, rule.MCE_REFUSED, Answer(Errno.EINVAL)
    elif status & MCI_STATUS_UC and m.vcpus[n].machine_checks:
        yield m.put(n, triple_fault=True), rule.MCE, Answer()
    else:
        yield m, rule.MCE_IGNORED, Answer()
