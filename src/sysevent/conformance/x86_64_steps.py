"""The steps of a scenario that carry out the actions of the model of x86."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.ioctls import Request
from sysevent.abi.x86_64 import HC_KICK_CPU
from sysevent.conformance.machine import Action
from sysevent.scenario import ioctls
from sysevent.scenario import x86_64_state as state
from sysevent.scenario.steps import Entry, Ioctl, Step
from sysevent.scenario.x86_64 import get_msrs, registers, set_msrs
from sysevent.scenario.x86_64_machine import signal_msi


def kick(apic: int) -> tuple[int, ...]:
    """Return rax, rbx, … of a guest that kicks the vCPU with an APIC ID."""
    return (HC_KICK_CPU, 0x5E01, apic, 0x5E03, 0x5E04, 0x5E05)


def _enable(fd: str | int, capability: int, action: Action, label: str) -> Step:
    return ioctls.enable_cap(fd, capability, action.values[0], flags=action.values[1], label=label)


_TRIPLE_FAULT, _ENFORCE = Capability.X86_TRIPLE_FAULT_EVENT, Capability.HYPERV_ENFORCE_CPUID
_STEPS: Mapping[str, Callable[[Action, str], Step]] = {
    "call": lambda action, _: Entry("wrmsr", registers(*action.values), action.vcpu),
    "kick_cpu": lambda action, _: Entry("wrmsr", kick(*action.values), action.vcpu, "kick"),
    "set_state": lambda action, label: ioctls.set_mp_state(action.vcpu, action.values[0], label),
    "get_state": lambda action, label: ioctls.get_mp_state(action.vcpu, label),
    "set_msr": lambda action, label: set_msrs(label, {action.values[0]: action.values[1]}, action.vcpu),
    "get_msr": lambda action, label: get_msrs(label, action.values[0], vcpu=action.vcpu),
    "triple_fault": lambda action, label: state.inject_triple_fault(label, action.values[0], action.vcpu),
    "events": lambda action, label: state.get_events(label, action.vcpu),
    "nmi": lambda action, label: Ioctl(action.vcpu, Request.NMI, label=label),
    "msi": lambda action, label: msgspec.structs.replace(
        signal_msi(action.vcpu, *action.values), label=label
    ),
    "set_up_mce": lambda action, label: msgspec.structs.replace(state.set_up_mce(action.vcpu), label=label),
    "mce": lambda action, label: state.machine_check(label, status=action.values[0], vcpu=action.vcpu),
    "enable": lambda action, label: _enable("vm", _TRIPLE_FAULT, action, label),
    "enforce": lambda action, label: _enable(action.vcpu, _ENFORCE, action, label),
}


def steps(action: Action, label: str) -> tuple[Step, ...]:
    """Return the steps of an action; () for a KVM_RUN that sets nothing before, and for a wait."""
    return (_STEPS[action.kind](action, label),) if action.kind in _STEPS else ()
