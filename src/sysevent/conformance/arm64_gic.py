"""The interrupt controller that KVM has for arm64 guests: what userspace does to its interrupts.

The guest never touches it. Each vCPU has a PPI, and the machine an SPI, which goes to vCPU 0. All others stay as they
begin, disabled.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sysevent.abi.errno import Errno
from sysevent.conformance import arm64_rules as rule
from sysevent.conformance.arm64_machine import Interrupt, Machine
from sysevent.conformance.machine import Action, Answer, Phase
from sysevent.conformance.rules import Rule
from sysevent.scenario.gic import PPI, PPIS, SPI, SPIS

Asked = Iterator[tuple[Machine, Rule, Answer]]
# The member of Interrupt that a register sets, by the kind of the action.
_MEMBERS = {
    "irq_enabled": "enabled",
    "irq_pending": "latch",
    "irq_active": "active",
    "irq_priority": "priority",
}
# Kinds of actions that write a register of the controller.
WRITES = (*_MEMBERS, "irq_mask", "irq_group", "distributor")
# Writes behind which KVM looks whether an interrupt is to be queued, if they set something.
_QUEUING = ("enabled", "latch", "active")


def begun(number: int, *, accepts: bool) -> tuple[Interrupt, ...]:
    """Return the interrupts of a vCPU at first. accepts: behind accept_interrupts() of scenario/gic.py."""
    ppi = Interrupt(enabled=accepts)
    return (ppi, Interrupt()) if number == 0 else (ppi,)


def set_line(m: Machine, action: Action) -> Asked:
    """Yield the machine after KVM_IRQ_LINE of a PPI of a vCPU, or of an SPI, by its number."""
    number, level = action.values
    is_spi = action.kind == "spi"
    if not m.gic:
        yield m, rule.LINE_REFUSED, Answer(Errno.ENXIO)
    elif (number < SPIS.start) if is_spi else (number not in PPIS or action.vcpu >= len(m.vcpus)):
        yield m, rule.LINE_REFUSED, Answer(Errno.EINVAL)
        # Linux 7.2 initializes the GIC, or refuses, before it looks at the number.
        if not m.ready and m.lazy:
            yield _initialized(m), rule.LINE_REFUSED, Answer(Errno.EINVAL)
        elif not m.ready:
            yield m, rule.GIC_NOT_READY, Answer(Errno.EBUSY)
    elif not (m := _initialized(m)).ready:
        yield m, rule.GIC_NOT_READY, Answer(Errno.EBUSY)
    elif number not in (SPIS if is_spi else PPIS):
        yield m, rule.LINE_REFUSED, Answer(Errno.EINVAL)
    elif is_spi:
        risen = _changed(m, action.vcpu, SPI, latch=True) if level else m
        yield risen, rule.GIC_SPI, Answer()
    else:
        before = _interrupt(m, action.vcpu, PPI).level
        # KVM looks at an input that has changed alone (vgic_validate_injection).
        changed = _changed(m, action.vcpu, PPI, level=bool(level)) if bool(level) is not before else m
        yield changed, rule.GIC_PPI, Answer()


def initialize(m: Machine) -> Asked:
    """Yield the machine after KVM_DEV_ARM_VGIC_CTRL_INIT."""
    yield msgspec.structs.replace(m, ready=True), rule.GIC_READY, Answer()


def _initialized(m: Machine) -> Machine:
    """Return the machine after KVM has initialized a GICv2 that is needed (vgic_lazy_init)."""
    return msgspec.structs.replace(m, ready=m.ready or m.lazy)


def write(m: Machine, action: Action) -> Asked:
    """Yield the machine after KVM_SET_DEVICE_ATTR of a register.

    KVM refuses it while a vCPU is in KVM_RUN. The thread of one whose KVM_RUN is not waited for may not be there yet.
    """
    m = _initialized(m)
    if not m.ready:
        yield m, rule.GIC_NOT_READY, Answer(Errno.EBUSY)
        return
    phases = {vcpu.phase for vcpu in m.vcpus}
    if phases & {Phase.LOOP, Phase.TRAPPED, Phase.WAITING}:
        yield m, rule.GIC_BUSY, Answer(Errno.EBUSY)
    if not phases & {Phase.TRAPPED, Phase.WAITING}:
        yield _written(m, action), rule.GIC_WRITE, Answer()


def _written(m: Machine, action: Action) -> Machine:
    n, kind, value = action.vcpu, action.kind, action.values[-1]
    if kind == "distributor":
        # Nothing is queued by that, unlike by a write of the guest.
        return msgspec.structs.replace(m, distributor=bool(value))
    if kind == "irq_mask":
        masked: Machine = m.put(n, mask=value)
        return masked
    if kind == "irq_group":
        return m
    member = _MEMBERS[kind]
    return _changed(m, n, action.values[0], **{member: value if member == "priority" else bool(value)})


def _interrupt(m: Machine, n: int, number: int) -> Interrupt:
    return m.vcpus[n].interrupts[number == SPI]


def _changed(m: Machine, n: int, number: int, **members: bool | int) -> Machine:
    """Return the machine with another state of an interrupt, which KVM has queued if that can make it count."""
    one = msgspec.structs.replace(_interrupt(m, n, number), **members)
    looks = "level" in members or any(members.get(member) for member in _QUEUING)
    if looks and one.is_targeted(m.distributor):
        one = msgspec.structs.replace(one, queued=True)
    found = m.vcpus[n].interrupts
    at = number == SPI
    changed: Machine = m.put(n, interrupts=(*found[:at], one, *found[at + 1 :]))
    return changed


def left_loop(m: Machine, n: int) -> Machine:
    """Return the machine after the loop of a KVM_RUN, which takes out of the list what has no vCPU."""
    pruned = tuple(
        msgspec.structs.replace(one, queued=one.queued and one.is_targeted(m.distributor))
        for one in m.vcpus[n].interrupts
    )
    left: Machine = m.put(n, interrupts=pruned)
    return left


def why_asleep(m: Machine, n: int) -> Rule | None:
    """Return the rule by which a vCPU with an interrupt that is pending sleeps; None if none is."""
    vcpu = m.vcpus[n]
    if m.distributor and any(one.counts(vcpu.mask) and not one.queued for one in vcpu.interrupts):
        return rule.GIC_MISSED
    return rule.GIC_SLEEPS if any(one.pending for one in vcpu.interrupts) else None
