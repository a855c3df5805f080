"""A sequence of actions as a scenario for the VMM. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from sysevent.conformance import play
from sysevent.conformance.contract import Contract
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import Scenario, Step, Wait

# Milliseconds for a KVM_RUN that must return, that must block, and that may do either.
# More than 500 would count as a sign of an ill guest (engine/controls.py).
RETURNS_MS, BLOCKS_MS, EITHER_MS = 500, 6, 20
# For one whose guest executes until a signal comes. If this were more than one piece of a wait, the VMM would not count
# ten pieces in which the vCPU uses CPU time (wait_until_back() in guests/vmm/vcpu.c).
SPINS_MS = 5


def label(number: int, action: Action) -> str:
    """Return the label of what an action gives: its number in the sequence, and what it does."""
    return f"{number} {action.kind} {action.vcpu}"


def name(sequence: Sequence) -> str:
    """Return the name of the scenario of a sequence: the same for the same actions."""
    return f"{sequence.arch}.explore.{hashlib.sha256(msgspec.json.encode(sequence)).hexdigest()[:16]}"


def scenario(contract: Contract, sequence: Sequence) -> Scenario:
    """Return the scenario in which a VMM carries out a sequence. TooManyStates if the model does not follow it."""
    steps = (*contract.setup(sequence.made), *_steps(contract, sequence))
    vcpus = sequence.made.vcpus
    return Scenario(name(sequence), sequence.arch, steps, Configuration(vcpus=vcpus))


def _steps(contract: Contract, sequence: Sequence) -> Iterator[Step]:
    states = play.begin(contract, sequence.made)
    for number, action in enumerate(sequence.actions):
        yield from contract.steps(action, label(number, action))
        if action.enters:
            yield from contract.run_steps(action)
        if action.waits:
            yield Wait(label(number, action), action.vcpu, _milliseconds(contract, states, action))
        states = play.after(contract, states, action)


def _milliseconds(contract: Contract, states: play.States, action: Action) -> int:
    """Return how long the end of the KVM_RUN of an action is waited for."""
    if action.enters:
        states = play.entered(contract, states, action)
    end = play.waited(contract, states, action.vcpu)
    if end.blocks is None:
        return EITHER_MS
    if end.spins:
        return SPINS_MS
    return BLOCKS_MS if end.blocks else RETURNS_MS


def is_async(action: Action) -> bool:
    """Return whether the vCPU of an action is in KVM_RUN after it."""
    return action.enters and bool(action.mode & Mode.ASYNC)
