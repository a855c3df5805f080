"""Plays sequences of actions in the model, and compares what a kernel gave with what the model allows. No I/O.

A kernel is free in some things, and vCPUs run at the same time. So the model follows every state that the machine may
be in. An answer leaves those states that allow it; if none does, the kernel disagrees with the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sysevent.conformance.contract import Configuration, Contract, Next
from sysevent.conformance.machine import Action, Answer, Mode, Phase
from sysevent.conformance.rules import Rule

States = dict[Any, frozenset[Rule]]
"""The machines that are possible, each with the rules of the steps that led there."""

# States that are followed at most. A sequence with more is not continued.
MOST_STATES = 512


class Sequence(msgspec.Struct, frozen=True, array_like=True):
    """Actions on a machine."""

    arch: str
    made: Configuration
    actions: tuple[Action, ...]


class TooManyStates(Exception):
    """A sequence has more possible states than are followed."""


def merge(found: Iterable[tuple[Any, frozenset[Rule]]]) -> States:
    """Return states, those that are equal once, with the rules of all ways to them. TooManyStates."""
    states: States = {}
    for machine, rules in found:
        states[machine] = states.get(machine, frozenset()) | rules
        if len(states) > MOST_STATES:
            raise TooManyStates
    return states


def begin(contract: Contract, made: Configuration) -> States:
    """Return the state before the first action."""
    return {contract.machine(made): frozenset()}


def _runs(machine: Any) -> list[int]:
    """Return the vCPUs that are in KVM_RUN."""
    return [n for n, vcpu in enumerate(machine.vcpus) if vcpu.phase not in (Phase.OUT, Phase.DONE)]


def closure(contract: Contract, states: States) -> States:
    """Return every state that vCPUs in KVM_RUN can reach by themselves, with these states."""
    found, todo = dict(states), list(states)
    while todo:
        machine = todo.pop()
        for after, rule in _steps(contract, machine):
            rules = found[machine] | {rule}
            if after not in found or not rules <= found[after]:
                found[after] = found.get(after, frozenset()) | rules
                todo.append(after)
        if len(found) > MOST_STATES:
            raise TooManyStates
    return found


def _steps(contract: Contract, machine: Any) -> list[Next]:
    return [step for n in _runs(machine) for step in contract.advance(machine, n)]


def is_settled(contract: Contract, machine: Any) -> bool:
    """Return whether no vCPU can go on by itself."""
    return not _steps(contract, machine)


def asked(contract: Contract, states: States, action: Action) -> list[tuple[Any, frozenset[Rule], Answer]]:
    """Return what an ioctl may do to each state: the machine, the rules, and the answer."""
    return [
        (after, rules | {rule}, answer)
        for machine, rules in closure(contract, states).items()
        for after, rule, answer in contract.ask(machine, action)
    ]


def entered(contract: Contract, states: States, action: Action) -> States:
    """Return the states after KVM_RUN was entered, with the registers that the action sets."""
    found = []
    for machine, rules in closure(contract, states).items():
        ready = machine if action.kind == "run" else contract.set_up_call(machine, action)
        found += [(after, rules | {rule}) for after, rule in contract.enter(ready, action)]
    return merge(found)


class Waited(msgspec.Struct, frozen=True):
    """What the end of a KVM_RUN can be."""

    # States in which it has returned by itself.
    returned: States
    # States in which a signal has ended it.
    kicked: States
    # False: it must return by itself; None: it may or may not; True: it must block.
    blocks: bool | None
    # True: it must block, and the guest executes all the time meanwhile.
    spins: bool


def waited(contract: Contract, states: States, vcpu: int) -> Waited:
    """Return what the end of the KVM_RUN of a vCPU can be, once all vCPUs had time to go on as far as they can.

    A vCPU that cannot go on blocks until a signal, which, on a busy machine, may also find it on its way there.
    """
    everywhere = closure(contract, states)
    settled = {machine: rules for machine, rules in everywhere.items() if is_settled(contract, machine)}
    done = [machine.vcpus[vcpu].phase is Phase.DONE for machine in settled]
    blocks = None if any(done) and not all(done) else not any(done)
    kicked = (
        merge(
            (after, rules | {rule})
            for machine, rules in everywhere.items()
            for after, rule in contract.kick(machine, vcpu)
        )
        if blocks is not False
        else {}
    )
    returned = {
        machine: rules for machine, rules in everywhere.items() if machine.vcpus[vcpu].phase is Phase.DONE
    }
    spins = blocks is True and all(contract.spins(machine, vcpu) for machine in settled)
    return Waited(returned, kicked, blocks, spins)


def out(contract: Contract, states: States, vcpu: int) -> States:
    """Return the states after userspace has taken the exit of a vCPU, and has read its registers."""
    return merge(
        (contract.read(machine, vcpu).put(vcpu, phase=Phase.OUT, errno=0, rule=None), rules)
        for machine, rules in states.items()
    )


def after(contract: Contract, states: States, action: Action) -> States:
    """Return every state after an action, whatever the kernel answers."""
    if not action.enters and not action.waits:
        return merge((machine, rules) for machine, rules, _ in asked(contract, states, action))
    if action.enters:
        states = entered(contract, states, action)
        if action.mode & Mode.ASYNC:
            return states
    end = waited(contract, states, action.vcpu)
    return out(contract, {**end.returned, **end.kicked}, action.vcpu)
