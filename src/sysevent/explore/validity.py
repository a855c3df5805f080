"""Whether the model has a sequence: one that was shortened, or one from a file."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Numbers

from sysevent.abi.mp_state import MpState
from sysevent.conformance import play
from sysevent.conformance.contract import Configuration, Contract
from sysevent.conformance.machine import Action, Mode, Phase
from sysevent.conformance.play import Sequence


def has_program(contract: Contract, states: play.States, vcpu: int) -> bool:
    """Return whether KVM_RUN of a vCPU is among the actions in every state: the others may execute what is nowhere."""
    return all(
        any(group[0].kind == "run" for group in contract.choices(machine, vcpu))
        for machine in states
        if machine.vcpus[vcpu].phase is Phase.OUT
    )


def valid(contract: Contract, sequence: Sequence) -> bool:
    """Return whether the model has a sequence: its machine, its actions, and a wait for each vCPU in KVM_RUN.

    `next` goes on where a vCPU came back: the model does not predict it for one that has not run. Nor does it predict
    `run` of a guest without a program.
    """
    if sequence.arch != contract.arch or sequence.made not in contract.configurations:
        return False
    running: set[int] = set()
    ran: set[int] = set()
    for action in sequence.actions:
        if not _known(contract, sequence, action):
            return False
        if action.vcpu in running and not _possible_meanwhile(contract, sequence, action):
            return False
        if action.kind == "wait" and action.vcpu not in running:
            return False
        if action.kind == "next" and action.vcpu not in ran:
            return False
        if action.enters:
            ran.add(action.vcpu)
        if action.kind == "wait":
            running.discard(action.vcpu)
        elif action.enters and action.mode & Mode.ASYNC:
            running.add(action.vcpu)
    return not running and _runs_programs(contract, sequence)


def _possible_meanwhile(contract: Contract, sequence: Sequence, action: Action) -> bool:
    """Return whether the model has an action while its vCPU is in KVM_RUN."""
    return (
        action.kind == "wait"
        or action in contract.during_run(contract.machine(sequence.made), action.vcpu)
        or (not action.enters and _ioctls(contract, sequence.made)[action])
    )


def _runs_programs(contract: Contract, sequence: Sequence) -> bool:
    states = play.begin(contract, sequence.made)
    try:
        for action in sequence.actions:
            if action.enters and not all(map(contract.can_enter, states)):
                return False
            if action.kind == "run" and not has_program(contract, states, action.vcpu):
                return False
            states = play.after(contract, states, action)
    except play.TooManyStates:
        return False
    return True


def _known(contract: Contract, sequence: Sequence, action: Action) -> bool:
    """Return whether the model has an action. Calls can have values that are never drawn."""
    if action.kind == "wait":
        return 0 <= action.vcpu < sequence.made.vcpus
    if action.enters:
        return 0 <= action.vcpu < sequence.made.vcpus and len(action.values) in _numbers(
            contract, action.kind
        )
    return action in _ioctls(contract, sequence.made)


def _numbers(contract: Contract, kind: str) -> Numbers[int]:
    """Return how many values an action that enters KVM_RUN can have; () if the architecture does not have it."""
    if kind in ("call", "next"):
        return contract.values_of_call
    if kind == "run":
        return (0,)
    return contract.other_calls.get(kind, ())


@functools.cache
def _ioctls(contract: Contract, made: Configuration) -> dict[Action, bool]:
    """Return the actions that do not enter KVM_RUN; True for one that is of the machine, whatever its vCPU does."""
    found: dict[Action, bool] = {}
    for vcpu in range(made.vcpus):
        # What is chosen depends on whether KVM_RUN would block.
        for state in MpState:
            for group in contract.choices(contract.machine(made).put(vcpu, mp_state=state), vcpu):
                for action in group:
                    if not action.enters:
                        # Of the machine is what is also chosen for another vCPU than its own.
                        found[action] = found.get(action, False) or action.vcpu != vcpu
    return found
