"""The steps of a scenario that carry out the actions of the model of arm64."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.abi.ioctls import Request
from sysevent.abi.registers import ARM64_PSCI_VERSION, arm64_x
from sysevent.conformance.arm64_gic import WRITES
from sysevent.conformance.machine import Action
from sysevent.scenario import gic, ioctls
from sysevent.scenario.arm64 import registers, smccc_filter, vcpu_init
from sysevent.scenario.steps import Entry, Ioctl, Step


def _init(action: Action, label: str) -> Step:
    target = vcpu_init()[:4]
    buffer = (target + struct.pack("<I", action.values[0])).ljust(32, b"\0")
    return Ioctl(action.vcpu, Request.ARM_VCPU_INIT, buffer=buffer, label=label)


def _line(action: Action, label: str) -> Step:
    return msgspec.structs.replace(gic.set_line("", action.vcpu, action.values[0]), label=label)


def _ppi(action: Action, label: str) -> Step:
    return msgspec.structs.replace(gic.set_ppi(action.vcpu, *action.values), label=label)


def _spi(action: Action, label: str) -> Step:
    return msgspec.structs.replace(gic.set_spi(*action.values), label=label)


def _filter(action: Action, label: str) -> Step:
    first, functions, handling = action.values
    return msgspec.structs.replace(smccc_filter(first, handling, functions), label=label)


def _enable(action: Action, label: str) -> Step:
    return ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, flags=action.values[0], label=label)


_STEPS: Mapping[str, Callable[[Action, str], Step]] = {
    "call": lambda action, _: Entry("call", registers(*action.values), action.vcpu),
    "smc": lambda action, _: Entry("call", registers(*action.values), action.vcpu, "smc"),
    "wfi": lambda action, _: Entry("call", registers(*action.values), action.vcpu, "wfi"),
    "set_state": lambda action, label: ioctls.set_mp_state(action.vcpu, action.values[0], label),
    "get_state": lambda action, label: ioctls.get_mp_state(action.vcpu, label),
    "line": _line,
    "ppi": _ppi,
    "spi": _spi,
    "gic_init": lambda _, label: msgspec.structs.replace(gic.INITIALIZE, label=label),
    "init": _init,
    "set_version": lambda action, label: ioctls.set_one_reg(
        action.vcpu, ARM64_PSCI_VERSION, action.values[0], label
    ),
    "get_version": lambda action, label: ioctls.get_one_reg(action.vcpu, ARM64_PSCI_VERSION, label),
    "enable": _enable,
    "filter": _filter,
}


def steps(action: Action, label: str, irqchip: str) -> tuple[Step, ...]:
    """Return the steps of an action; () for a KVM_RUN that sets nothing before, and for a wait.

    irqchip: of the machines that have an interrupt controller in the kernel, which one.
    """
    if action.kind == "next":
        return tuple(
            ioctls.set_one_reg(action.vcpu, arm64_x(number), value)
            for number, value in enumerate(action.values)
        )
    if action.kind in WRITES:
        return (msgspec.structs.replace(_write(action, irqchip), label=label),)
    return (_STEPS[action.kind](action, label),) if action.kind in _STEPS else ()


def _write(action: Action, irqchip: str) -> Ioctl:
    """Return the step that writes a register of the interrupt controller."""
    match action.kind:
        case "distributor":
            return gic.set_distributor(irqchip, *action.values)
        case "irq_mask":
            return gic.set_mask(irqchip, action.vcpu, *action.values)
        case "irq_group":
            return gic.set_group(irqchip, action.vcpu, *action.values)
        case what:
            number, value = action.values
            return gic.set_interrupt(irqchip, action.vcpu, number, what, value)
