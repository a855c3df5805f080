"""Steps that make an interrupt controller of an arm64 guest: their bytes, and that they are left out without one."""

import struct

import pytest

from sysevent.scenario import gic
from sysevent.scenario.arm64_peers import event_from, peers_of
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.steps import Device, Start, Vcpu, Watch


def test_a_controller_is_made_when_all_vcpus_exist():
    """A GIC is initialized for the vCPUs that exist then, so that it comes behind the last of them."""
    where = Configuration(irqchip="gicv3", vcpus=4, caller=3, peers=Peers.ASLEEP)
    kinds = [type(step) for step in event_from("x", where, (1,), final=True).steps]
    assert kinds.count(Device) == 1
    assert max(n for n, kind in enumerate(kinds) if kind is Vcpu) < kinds.index(Device) < kinds.index(Start)


def test_attributes():
    """struct kvm_device_attr with flags 0, and the address of the value that follows it."""
    step = gic.attribute("device", 1, 0x1_0000_0000, b"\1\2\3\4")
    assert step.buffer == struct.pack("<IIQQ", 0, 1, 0x1_0000_0000, 0) + b"\1\2\3\4"
    assert step.pointer == (16, 24)
    assert gic.attribute(0, 0, 1).pointer is None


def test_no_controller():
    """Without one there are no steps, and the interrupt is the input of the CPU."""
    assert gic.controller("") == gic.accept_interrupts("", 3) == ()
    assert gic.set_line("", 3, 1).buffer == struct.pack("<II", 3 << 16, 1)


@pytest.mark.parametrize("irqchip", gic.GICS)
def test_an_interrupt_of_a_controller(irqchip):
    """The line is the PPI that accept_interrupts() enables, of the same vCPU."""
    line, level = struct.unpack("<II", gic.set_line(irqchip, 3, 1).buffer)
    assert (line >> 24, line >> 16 & 0xFF, level) == (2, 3, 1)
    (_, enable, _) = gic.accept_interrupts(irqchip, 3)
    assert struct.unpack("<I", enable.buffer[24:]) == (1 << (line & 0xFFFF),)
    assert struct.unpack("<IIQQ", enable.buffer[:24])[2] >> 32 == 3


def test_peers_are_all_but_the_caller():
    """Only peers that run, or sleep, are entered before the call; only of those that run a counter is awaited."""
    assert peers_of(Configuration(vcpus=4, caller=2)) == (0, 1, 3)
    for peers, awaited in ((Peers.RUNNING, 1), (Peers.ASLEEP, 0), (Peers.UNSTARTED, 0)):
        steps = event_from("x", Configuration(vcpus=2, caller=1, peers=peers), (1,), final=True).steps
        assert sum(isinstance(step, Watch) for step in steps) == awaited
