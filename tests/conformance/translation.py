"""Scenarios of the claims as sequences of the model, where they are in its language."""

from __future__ import annotations

import functools
import struct

import msgspec

from sysevent.abi.ioctls import Request
from sysevent.abi.registers import arm64_x, riscv64_a
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.scenario import label
from sysevent.scenario.steps import POISON, Entry, Ioctl, Read, SetRunBytes, Sleep, Start, Wait

# By the label of a payload at which it begins: the kind of the action.
_CALLS = {"": "call", "smc": "smc"}


# Kinds of ioctls that can come before the registers of a call are set, where the model has them, as well as behind.
_WITHOUT_REGISTERS = ("get_state", "set_state", "line", "ppi")


class Unknown(Exception):
    """A step is not in the language of the model."""


def translated(contract, asked):  # noqa: C901 - an arm a step
    """Return the sequence of a scenario, and for each of its labels that of the sequence; Unknown."""
    made, steps = _made(contract, asked.steps)
    actions, labels, running = [], {}, {}
    known = _ioctls(contract, made)
    prepared = {}
    immediate = set()
    while steps:
        step, *steps = steps
        match step:
            case Entry(_, arguments, vcpu, symbol, 0) if symbol in _CALLS:
                prepared[vcpu] = Action(
                    _CALLS[symbol], vcpu, _values(contract, arguments, step, _CALLS[symbol])
                )
            case Ioctl(fd=int(vcpu)) if (register := _register(contract, step)) is not None:
                number, value = register
                before = prepared.get(vcpu, Action("next", vcpu))
                if number != len(before.values) or before.kind != "next":
                    raise Unknown(step)
                prepared[vcpu] = Action("next", vcpu, (*before.values, value))
            case SetRunBytes(1, b"\1", vcpu):
                immediate.add(vcpu)
            case Start(vcpu, poison, signalled) if poison in (None, POISON):
                action = prepared.pop(vcpu, Action("run", vcpu))
                mode = (
                    Mode.KEEP * (poison is None)
                    | Mode.SIGNALLED * signalled
                    | Mode.IMMEDIATE * (vcpu in immediate)
                )
                immediate.discard(vcpu)
                if steps and isinstance(steps[0], Wait) and steps[0].vcpu == vcpu:
                    wait, *steps = steps
                    action = Action(action.kind, vcpu, action.values, mode)
                    labels[wait.label] = label(len(actions), action)
                else:
                    action = Action(action.kind, vcpu, action.values, mode | Mode.ASYNC)
                    running[vcpu] = True
                actions.append(action)
            case Wait(name, vcpu) if running.pop(vcpu, False):
                actions.append(Action("wait", vcpu))
                labels[name] = label(len(actions) - 1, actions[-1])
            case Sleep() | Read():
                # The model has no memory.
                pass
            case Ioctl():
                action = known.get(msgspec.structs.replace(step, label="")) or _set_state(step)
                if prepared and action.kind not in _WITHOUT_REGISTERS:
                    raise Unknown(step)
                labels[step.label] = label(len(actions), action)
                actions.append(action)
            case _:
                raise Unknown(step)
    if not actions:
        raise Unknown("no action")
    return Sequence(contract.arch, made, tuple(actions)), labels


def _made(contract, steps):
    """Return how the machine is made, and the steps behind that: of those that fit, the one with the most steps."""
    setups = {made: contract.setup(made) for made in contract.configurations}
    fitting = [made for made, setup in setups.items() if steps[: len(setup)] == setup]
    if not fitting:
        raise Unknown("another machine")
    made = max(fitting, key=lambda one: len(setups[one]))
    rest = list(steps[len(setups[made]) :])
    if rest and type(rest[0]).__name__ in ("Vcpu", "Device"):
        raise Unknown("another machine")
    return made, rest


@functools.cache
def _ioctls(contract, made):
    """Return the ioctls that the model has, by their step without its label."""
    machine = contract.machine(made)
    found = {}
    for vcpu in range(made.vcpus):
        for group in contract.choices(machine, vcpu):
            for action in group:
                if not action.enters:
                    (step,) = contract.steps(action, "")
                    found.setdefault(step, action)
    return found


def _set_state(step):
    if step.request != Request.SET_MP_STATE:
        raise Unknown(step)
    return Action("set_state", step.fd, struct.unpack("<I", step.buffer))


def _register(contract, step):
    """Return the number of an argument register that the step sets, and its value; None if it sets none."""
    if step.request != Request.SET_ONE_REG or step.label:
        return None
    register, _, value = struct.unpack("<QQQ", step.buffer)
    of = {"arm64": arm64_x, "riscv64": riscv64_a}[contract.arch]
    return next(((number, value) for number in range(8) if of(number) == register), None)


def _values(contract, arguments, step, kind):
    """Return the values of the call whose Entry this is."""
    if contract.arch == "x86_64":
        eax, _, msr, edx = arguments[:4] if len(arguments) > 3 else (0, 0, 0, 0)
        values = (msr, edx << 32 | eax)
    elif contract.arch == "arm64":
        used = [number for number, value in enumerate(arguments) if value != 0x5E00 + number]
        values = arguments[: used[-1] + 1] if used else ()
    else:
        values = arguments
    if not values or contract.steps(Action(kind, step.vcpu, values), "") != (step,):
        raise Unknown(step)
    return values
