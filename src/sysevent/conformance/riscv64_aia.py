"""The interrupt controller that KVM has for riscv64 guests, which KVM emulates: what userspace does to it.

The guest never touches it. The APLIC has wired interrupts, of which one is used; the IMSIC of each hart gets messages.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sysevent.abi import aia
from sysevent.abi.errno import Errno
from sysevent.conformance import riscv64_rules as rule
from sysevent.conformance.machine import Action, Answer
from sysevent.conformance.riscv64_machine import IDS, Aplic, Imsic, Machine
from sysevent.conformance.rules import Rule
from sysevent.scenario.aia import IDENTITY, SOURCES

Asked = Iterator[tuple[Machine, Rule, Answer]]
# Kinds of actions that are of an AIA.
KINDS = ("msi", "source", "aplic", "imsic")
_INTERRUPT_BITS = (1 << aia.APLIC_TARGET_HART_SHIFT) - 1
_LEVELS = (aia.SOURCE_LEVEL_HIGH, aia.SOURCE_LEVEL_LOW)


def begun(*, accepts: bool) -> Imsic:
    """Return an IMSIC at first; accepts: behind accept_interrupts() of scenario/aia.py."""
    return Imsic(delivery=True, enabled=1 << IDENTITY) if accepts else Imsic()


def sending() -> Aplic:
    """Return the APLIC behind send_interrupts() of scenario/aia.py."""
    return Aplic(sends=True, mode=aia.SOURCE_EDGE_RISE, target=IDENTITY, enabled=True)


def ask(m: Machine, action: Action) -> Asked:
    """Yield what an ioctl about an AIA may do."""
    match action.kind, action.values:
        case "msi", (number,):
            yield from _signal_msi(m, action.vcpu, number)
        case "source", (number, level):
            yield from _set_source(m, number, bool(level))
        case "aplic", (register, value):
            yield from _write_aplic(m, register, value)
        case "imsic", (register, value):
            yield from _write_imsic(m, action.vcpu, register, value)


def _signal_msi(m: Machine, n: int, number: int) -> Asked:
    """Yield the machine after KVM_SIGNAL_MSI to the page of a hart, which may be none."""
    if m.aplic is None:
        yield m, rule.MSI_REFUSED, Answer(Errno.EINVAL)
    elif n >= len(m.vcpus):
        yield m, rule.MSI, Answer()
    elif not number:
        yield m, rule.MSI_REFUSED, Answer(Errno.ENODEV)
    elif number >= IDS:
        yield m, rule.MSI_REFUSED, Answer(Errno.EINVAL)
    else:
        yield _received(m, n, number), rule.MSI, Answer()


def _set_source(m: Machine, number: int, level: bool) -> Asked:
    """Yield the machine after KVM_IRQ_LINE of a source."""
    if m.aplic is None:
        yield m, rule.SOURCE_REFUSED, Answer(Errno.ENXIO)
    elif not 0 < number <= SOURCES:
        yield m, rule.SOURCE_REFUSED, Answer(Errno.ENODEV)
    else:
        before = m.aplic
        found = {
            aia.SOURCE_EDGE_RISE: level and not before.input,
            aia.SOURCE_EDGE_FALL: not level and before.input,
            aia.SOURCE_LEVEL_HIGH: level,
            aia.SOURCE_LEVEL_LOW: not level,
        }
        pending = before.pending or found.get(before.mode, False)
        yield _sent(m, msgspec.structs.replace(before, pending=pending, input=level)), rule.SOURCE, Answer()


def _write_aplic(m: Machine, register: int, value: int) -> Asked:
    """Yield the machine after a write to the APLIC, in which it looks what is to be sent."""
    aplic = m.aplic
    assert aplic is not None
    replace = msgspec.structs.replace
    match register:
        case aia.APLIC_DOMAINCFG:
            aplic = replace(aplic, sends=bool(value & aia.APLIC_DOMAINCFG_IE))
        case aia.APLIC_SOURCECFG1:
            aplic = replace(aplic, mode=value)
        case aia.APLIC_TARGET1:
            aplic = replace(aplic, target=value)
        case aia.APLIC_SETIENUM | aia.APLIC_CLRIENUM:
            aplic = replace(aplic, enabled=register == aia.APLIC_SETIENUM)
        case aia.APLIC_SETIPNUM:
            aplic = replace(aplic, pending=aplic.pending or _takes_pending(aplic))
        case aia.APLIC_CLRIPNUM:
            aplic = replace(aplic, pending=aplic.pending and aplic.mode == aia.SOURCE_INACTIVE)
        case aia.APLIC_GENMSI:
            m = _message(m, value)
        case _:
            yield m, rule.AIA_REFUSED, Answer(Errno.EOPNOTSUPP if register % 4 else Errno.ENODEV)
            return
    yield _sent(m, aplic), rule.AIA_WRITE, Answer()


def _write_imsic(m: Machine, n: int, register: int, value: int) -> Asked:
    """Yield the machine after a write to the IMSIC of a hart, which is not in KVM_RUN."""
    imsic = m.vcpus[n].imsic
    assert imsic is not None
    reason, answer = rule.AIA_WRITE, Answer()
    match register:
        case aia.IMSIC_EIDELIVERY:
            imsic = msgspec.structs.replace(imsic, delivery=bool(value & 1))
        case aia.IMSIC_EITHRESHOLD:
            imsic = msgspec.structs.replace(imsic, threshold=value)
        case aia.IMSIC_EIP0:
            imsic = msgspec.structs.replace(imsic, pending=value)
        case aia.IMSIC_EIE0:
            imsic = msgspec.structs.replace(imsic, enabled=value)
        case _:
            is_bits = register >= aia.IMSIC_EIP0
            reason, answer = rule.AIA_REFUSED, Answer(Errno.EINVAL if is_bits else Errno.ENOENT)
    yield _signalled(m, n, imsic), reason, answer


def _takes_pending(aplic: Aplic) -> bool:
    """Return whether a write can make the source pending: one that follows its level must have that."""
    if aplic.mode in _LEVELS:
        return aplic.input is (aplic.mode == aia.SOURCE_LEVEL_HIGH)
    return aplic.mode != aia.SOURCE_INACTIVE


def _sent(m: Machine, aplic: Aplic) -> Machine:
    """Return the machine with this APLIC after it has sent the interrupt of its source, if that is to be sent."""
    sends = aplic.sends and aplic.enabled and aplic.pending
    aplic = msgspec.structs.replace(aplic, pending=aplic.pending and not sends)
    m = msgspec.structs.replace(m, aplic=aplic)
    return _message(m, aplic.target) if sends else m


def _message(m: Machine, target: int) -> Machine:
    hart, number = target >> aia.APLIC_TARGET_HART_SHIFT, target & _INTERRUPT_BITS
    return _received(m, hart, number) if hart < len(m.vcpus) and 0 < number < IDS else m


def _received(m: Machine, n: int, number: int) -> Machine:
    imsic = m.vcpus[n].imsic
    assert imsic is not None
    return _signalled(m, n, msgspec.structs.replace(imsic, pending=imsic.pending | 1 << number))


def _signalled(m: Machine, n: int, imsic: Imsic) -> Machine:
    """Return the machine after KVM has looked whether a hart has an external interrupt by its IMSIC."""
    looked: Machine = m.put(n, imsic=imsic, line=imsic.signals)
    return looked
