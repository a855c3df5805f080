"""What a kernel gives that does everything as the model says. No I/O."""

from __future__ import annotations

import struct
from typing import Any

from sysevent.abi import kvm_run
from sysevent.conformance import play
from sysevent.conformance.contract import Contract
from sysevent.conformance.machine import Action
from sysevent.conformance.machine import Answer as Predicted
from sysevent.conformance.play import Sequence
from sysevent.conformance.scenario import label, scenario
from sysevent.model import Answer, Observation, RawExit
from sysevent.scenario.steps import POISON

# Bytes of kvm_run that are recorded, and where what lies behind the union begins and ends that the VMM clears.
_HEAD, _CLEARED = 320, (288, 312)
_MICROSECONDS = 10


def observation(contract: Contract, sequence: Sequence) -> Observation:
    """Return what a kernel gives that does the first of all that the model allows, with vCPUs that never wait."""
    exits: dict[str, RawExit] = {}
    answers: dict[str, Answer] = {}
    states = play.begin(contract, sequence.made)
    for number, action in enumerate(sequence.actions):
        where = label(number, action)
        if not action.enters and not action.waits:
            machine, _, answer = play.asked(contract, states, action)[0]
            answers[where] = _answer(contract, action, answer)
            states = {machine: frozenset()}
            continue
        if action.enters:
            states = _settled(contract, play.entered(contract, states, action))
        if action.waits:
            end = play.waited(contract, states, action.vcpu)
            machine = next(iter(end.kicked if end.blocks else end.returned))
            exits[where] = _exit(contract, machine, action, kicked=bool(end.blocks))
            states = play.out(contract, {machine: frozenset()}, action.vcpu)
    return Observation(scenario(contract, sequence).name, contract.arch, "", exits, answers, {})


def _settled(contract: Contract, states: play.States) -> play.States:
    """Return a state after which no vCPU goes on by itself."""
    found = [machine for machine in play.closure(contract, states) if play.is_settled(contract, machine)]
    return {found[0]: frozenset()}


def _answer(contract: Contract, action: Action, wanted: Predicted) -> Answer:
    data = contract.packed(action, wanted.value or 0)
    return Answer(-1 if wanted.errno else wanted.ret or 0, wanted.errno, data)


def _exit(contract: Contract, machine: Any, action: Action, *, kicked: bool) -> RawExit:
    vcpu = machine.vcpus[action.vcpu]
    page = vcpu.page
    head = bytearray(bytes([POISON]) * _HEAD)
    head[8:16] = struct.pack("<IHH", page.reason, 0, page.flags)
    head[slice(*kvm_run.UNION)] = page.union
    head[slice(*_CLEARED)] = bytes(_CLEARED[1] - _CLEARED[0])
    registers = contract.registers(contract.read(machine, action.vcpu), action.vcpu)
    known = tuple(value or 0 for value in registers)
    return RawExit(
        -1 if vcpu.errno else 0, vcpu.errno, kicked, _MICROSECONDS, POISON, bytes(head), 0, 0, known
    )
