"""Scenarios of riscv64 with several harts, and with an interrupt controller."""

import struct

import pytest

from sysevent.abi.ioctls import Request
from sysevent.scenario import aia
from sysevent.scenario.configuration import Configuration, Peers
from sysevent.scenario.riscv64 import COUNTERS, call_among_peers, next_call, others
from sysevent.scenario.steps import Device, Entry, Ioctl, Start, Wait, Watch


def test_the_controller_has_an_address_for_each_hart():
    """A file of interrupts for each hart, one page after the other, and as many bits as tell the harts apart."""
    device, *attributes = aia.controller(aia.AIA, 4)
    assert device == Device(11)
    values = {struct.unpack_from("<IQ", step.buffer, 4): step.buffer[24:] for step in attributes}
    assert [int.from_bytes(values[1, number], "little") for number in range(1, 5)] == [
        0x2800_0000 + 0x1000 * hart for hart in range(4)
    ]
    assert values[0, 5] == struct.pack("<I", 2)
    # The last step initializes it, and has no value.
    assert struct.unpack_from("<IQ", attributes[-1].buffer, 4) == (2, 0)
    assert attributes[-1].pointer is None
    assert aia.controller("", 4) == ()


@pytest.mark.parametrize("peers", list(Peers))
def test_every_hart_gets_a_reason_to_run_after_the_call(peers):
    where = Configuration(vcpus=4, caller=2, peers=peers)
    steps = call_among_peers("title", where, 0, 0).steps
    call = steps.index(Wait("exit", 2))
    before = {step.vcpu for step in steps[:call] if isinstance(step, Start)}
    after = {step.vcpu for step in steps[call:] if isinstance(step, Start)}
    interrupted = {
        step.fd for step in steps[call:] if isinstance(step, Ioctl) and step.request == Request.INTERRUPT
    }
    assert before == ({2} if peers is Peers.UNSTARTED else {0, 1, 2, 3})
    assert after | interrupted == ({2} if peers is Peers.RUNNING else {0, 1, 2, 3})
    assert {step.vcpu for step in steps if isinstance(step, Wait)} == {0, 1, 2, 3}
    # A counter that changed before it was watched costs a second; a sleeping hart counts once.
    assert {step.gpa for step in steps if isinstance(step, Watch)} == (
        {COUNTERS + 8 * hart for hart in others(where)} if peers is Peers.RUNNING else set()
    )


def test_another_call_leaves_the_pc():
    """KVM moves it past the store of the payload when the hart is entered."""
    assert not any(isinstance(step, Entry) for step in next_call(1, 0, 0))
