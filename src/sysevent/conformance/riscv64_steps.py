"""The steps of a scenario that carry out the actions of the model of riscv64."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import msgspec

from sysevent.abi import sbi
from sysevent.abi.ioctls import Request
from sysevent.abi.registers import riscv64_a, riscv64_csr, riscv64_sbi
from sysevent.conformance.machine import Action
from sysevent.scenario import aia, ioctls
from sysevent.scenario.steps import Entry, Ioctl, Step

# sie, by its number in struct kvm_riscv_csr: supervisor external interrupts.
_SIE, _EXTERNAL = 1, 1 << 9


def set_sie(vcpu: int, on: int, label: str = "") -> Ioctl:
    """Return the step that lets external interrupts wake a hart, or not."""
    return ioctls.set_one_reg(vcpu, riscv64_csr(_SIE), _EXTERNAL * on, label)


def _sbi(extension: int, action: Action, label: str) -> Step:
    return ioctls.set_one_reg(action.vcpu, riscv64_sbi(extension), action.values[0], label)


def _interrupt(action: Action, label: str) -> Step:
    return Ioctl(action.vcpu, Request.INTERRUPT, buffer=struct.pack("<I", action.values[0]), label=label)


_STEPS: Mapping[str, Callable[[Action, str], Step]] = {
    "call": lambda action, _: Entry("call", action.values, action.vcpu),
    "wfi": lambda action, _: Entry("call", action.values, action.vcpu, "wfi"),
    "set_state": lambda action, label: ioctls.set_mp_state(action.vcpu, action.values[0], label),
    "get_state": lambda action, label: ioctls.get_mp_state(action.vcpu, label),
    "interrupt": _interrupt,
    "msi": lambda action, _: aia.signal_msi(action.vcpu, *action.values),
    "source": lambda action, _: aia.set_source(*action.values),
    "aplic": lambda action, _: aia.set_aplic(*action.values),
    "imsic": lambda action, _: aia.set_imsic(action.vcpu, *action.values),
    "sie": lambda action, label: set_sie(action.vcpu, action.values[0], label),
    "enable": lambda action, label: _sbi(sbi.EXT_SRST, action, label),
    "enable_susp": lambda action, label: _sbi(sbi.EXT_SUSP, action, label),
    "is_enabled": lambda action, label: ioctls.get_one_reg(action.vcpu, riscv64_sbi(sbi.EXT_SRST), label),
}


def steps(action: Action, label: str) -> tuple[Step, ...]:
    """Return the steps of an action; () for a KVM_RUN that sets nothing before, and for a wait."""
    if action.kind == "next":
        values = enumerate(action.values)
        return tuple(ioctls.set_one_reg(action.vcpu, riscv64_a(at), value) for at, value in values)
    if action.kind not in _STEPS:
        return ()
    step = _STEPS[action.kind](action, label)
    return (msgspec.structs.replace(step, label=label) if isinstance(step, Ioctl) else step,)
