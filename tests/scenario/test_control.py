"""The control of each architecture: what a working KVM gives, and what an ill one does."""

import re

import msgspec
import pytest
from sample_exits import KICKED, event

from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import FIELDS
from sysevent.abi.registers import REGISTERS
from sysevent.arches import ARCHITECTURES
from sysevent.build.programs import PAYLOADS
from sysevent.model import Observation
from sysevent.scenario.control import CONTROLS, VALUE
from sysevent.scenario.steps import Entry, Wait

STORE = {"exit_reason": ExitReason.MMIO, "mmio.phys_addr": 0x0A00_0000, "mmio.data": VALUE}
GOOD = {
    "arm64": (STORE, "x0"),
    "riscv64": (STORE, "a0"),
    "x86_64": ({"exit_reason": ExitReason.IO, "io.direction": 1, "io.size": 1, "io.port": 0xE9}, "rax"),
}


def raw(arch, changes=None, **more):
    """The exit of a working KVM, with other values of some fields."""
    fields, register = GOOD[arch]
    head = bytearray([0xAA]) * 320
    for name, value in (fields | (changes or {})).items():
        member = FIELDS[name]
        head[member.offset : member.offset + member.size] = value.to_bytes(member.size, "little")
    registers = tuple(VALUE if name == register else 7 for name in REGISTERS[arch])
    return event(**{"head": bytes(head), "registers": registers} | more)


def fault(arch, exit_):
    exits = {} if exit_ is None else {"exit": exit_}
    return CONTROLS[arch].fault(Observation(f"{arch}.control", arch, arch, exits, {}, {}))


def test_every_architecture_has_one():
    assert {*CONTROLS} == {*ARCHITECTURES}
    for arch, control in CONTROLS.items():
        assert (control.scenario.name, control.scenario.arch) == (f"{arch}.control", arch)


@pytest.mark.parametrize("arch", CONTROLS)
def test_it_passes(arch):
    assert fault(arch, raw(arch)) == ""


@pytest.mark.parametrize("arch", CONTROLS)
def test_it_fails(arch):
    """With a reason in words, for everything but the payload's own exit."""
    assert fault(arch, None) == "KVM_RUN was not entered"
    assert fault(arch, KICKED) == "KVM_RUN did not return by itself within 1000 ms"
    assert fault(arch, raw(arch, ret=-1, errno=14)) == "KVM_RUN failed with errno 14 (EFAULT)"
    for name in GOOD[arch][0]:
        assert re.search(f"{name} is 0x.*, not 0x", fault(arch, raw(arch, {name: 0})))
    assert fault(arch, raw(arch, registers=(1,) * len(REGISTERS[arch]))).endswith(f"is 0x1, not {VALUE:#x}")
    assert "unreadable" in fault(arch, raw(arch, registers=()))


@pytest.mark.parametrize("arch", CONTROLS)
def test_it_is_short(arch):
    """A few seconds of the guest's clock at most; its payload has the label where it starts."""
    steps = CONTROLS[arch].scenario.steps
    assert sum(step.milliseconds for step in steps if isinstance(step, Wait)) <= 3000
    (entry,) = (step for step in steps if isinstance(step, Entry))
    source = (PAYLOADS / arch / f"{entry.payload}.S").read_text()
    assert f".globl {entry.symbol}\n" in source


def test_the_value_is_not_poison():
    assert VALUE < 1 << 31
    assert msgspec.structs.replace(event()).head[40:48] != VALUE.to_bytes(8, "little")
