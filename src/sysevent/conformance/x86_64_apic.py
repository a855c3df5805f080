"""INIT and SIPI that userspace sends to local APICs in the kernel. A SIPI starts a vCPU at START_PAGE of scenarios."""

from __future__ import annotations

from collections.abc import Iterator

from sysevent.abi.errno import Errno
from sysevent.abi.mp_state import MpState
from sysevent.abi.x86_64 import MSI_INIT
from sysevent.conformance import x86_64_rules as rule
from sysevent.conformance.contract import Next
from sysevent.conformance.machine import Answer
from sysevent.conformance.rules import Rule
from sysevent.conformance.x86_64_msrs import Machine


def signal_msi(m: Machine, n: int, data: int) -> Iterator[tuple[Machine, Rule, Answer]]:
    """Yield the machine after KVM_SIGNAL_MSI of an INIT or a SIPI, which returns how many vCPUs have got it."""
    if not m.has_apics:
        yield m, rule.MSI_REFUSED, Answer(Errno.EINVAL)
        return
    changes = {"init": True, "sipi": False} if data == MSI_INIT else {"sipi": True}
    yield m.put(n, **changes), rule.MSI, Answer(ret=1)
    if n == len(m.vcpus) - 1:
        # It may not be in KVM's map of local APICs, which is made before the VM has the vCPU.
        yield m, rule.MSI, Answer(ret=0)


def accepted(m: Machine, n: int) -> Next | None:
    """Return the machine after KVM has looked at INIT and SIPI of a vCPU (kvm_apic_accept_events); None without any."""
    vcpu = m.vcpus[n]
    if not vcpu.init and not vcpu.sipi:
        return None
    waits = vcpu.init or vcpu.mp_state == MpState.INIT_RECEIVED
    starts = waits and vcpu.sipi
    reason = rule.SIPI if starts else rule.INIT if vcpu.init else rule.SIPI_DROPPED
    state = MpState.RUNNABLE if starts else MpState.INIT_RECEIVED if waits else vcpu.mp_state
    m = m.put(n, init=False, sipi=False, mp_state=state)
    return (m.put(n, general=None, rip=0, started=starts) if vcpu.init or starts else m), reason


def awake(m: Machine, n: int) -> Next | None:
    """Return the machine after a vCPU that sleeps has been woken by them; None without any."""
    found = accepted(m, n)
    if found is None or found[0].vcpus[n].mp_state not in (MpState.HALTED, MpState.AP_RESET_HOLD):
        return found
    return found[0].put(n, mp_state=MpState.RUNNABLE, kicked=False), found[1]
