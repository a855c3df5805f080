"""What the model of an architecture offers: its machines, the actions on them, and the steps that KVM may take."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from sysevent.abi import kvm_run
from sysevent.conformance.machine import Action, Answer, Machine, Mode
from sysevent.conformance.rules import Rule, Rules
from sysevent.scenario import ioctls
from sysevent.scenario.steps import SetRunBytes, Start, Step

# Bytes of a structure that is one number, such as struct kvm_mp_state.
_U32 = 4
Next = tuple[Any, Rule]
"""A machine after a step, and the rule of the step."""


class Configuration(msgspec.Struct, frozen=True):
    """How a machine is made, before the first action."""

    vcpus: int = 1
    # A variant that the architecture names; "" for its usual machine.
    variant: str = ""


class Contract(abc.ABC):
    """The model of one architecture on one kernel. Its methods are pure."""

    arch: str
    rules: Rules
    # Every way in which a machine is made, the simplest first.
    configurations: Sequence[Configuration]
    # How many values a "call" or "next" can have.
    values_of_call: Sequence[int]
    # Other calls that guests of the architecture make, by the kind of their action: how many values they can have.
    other_calls: ClassVar[Mapping[str, Sequence[int]]] = {}

    @abc.abstractmethod
    def machine(self, made: Configuration) -> Machine:
        """Return the machine before the first action."""

    @abc.abstractmethod
    def setup(self, made: Configuration) -> tuple[Step, ...]:
        """Return the steps of a scenario that make that machine."""

    @abc.abstractmethod
    def choices(self, machine: Any, vcpu: int) -> tuple[tuple[Action, ...], ...]:
        """Return the actions on a vCPU that is not in KVM_RUN, or on the VM, in groups, the simplest first.

        First a group is chosen, and then one of its actions. KVM_RUN is without Mode.ASYNC.
        """

    def can_enter(self, machine: Any) -> bool:
        """Return whether the model predicts KVM_RUN of the machine's vCPUs."""
        return True

    def during_run(self, machine: Any, vcpu: int) -> tuple[Action, ...]:
        """Return the actions on a vCPU, or about one, that KVM takes while it is in KVM_RUN."""
        return ()

    def lacking(self) -> tuple[Rule, ...]:
        """Return the rules that this kernel gives no occasion to follow."""
        return ()

    @abc.abstractmethod
    def steps(self, action: Action, label: str) -> tuple[Step, ...]:
        """Return the steps of a scenario that carry out an ioctl, or set what an action sets before KVM_RUN."""

    @abc.abstractmethod
    def ask(self, machine: Any, action: Action) -> Iterator[tuple[Any, Rule, Answer]]:
        """Yield what an ioctl may do: the machine afterwards, the rule, and what userspace gets."""

    def value(self, action: Action, data: bytes) -> int:
        """Return the value in the structure of an ioctl: a u32, or the u64 behind struct kvm_one_reg or kvm_msrs."""
        at = ioctls.ONE_REG_VALUE if len(data) > _U32 else 0
        return int.from_bytes(data[at : at + 8], "little")

    def packed(self, action: Action, value: int) -> bytes:
        """Return the structure of an ioctl that holds this value, as value() reads it."""
        if action.kind in ("get_state", "set_state"):
            return value.to_bytes(_U32, "little")
        return bytes(ioctls.ONE_REG_VALUE) + value.to_bytes(8, "little")

    @abc.abstractmethod
    def set_up_call(self, machine: Any, action: Action) -> Any:
        """Return the machine after the registers of a "call" or "next" were set; KVM_RUN is not entered."""

    @abc.abstractmethod
    def enter(self, machine: Any, action: Action) -> Iterator[Next]:
        """Yield the machine after KVM_RUN was entered: in LOOP, or DONE if it returned at once."""

    @abc.abstractmethod
    def advance(self, machine: Any, vcpu: int) -> Iterator[Next]:
        """Yield the machine after the next step of a vCPU in KVM_RUN; nothing if it can take none."""

    def spins(self, machine: Any, vcpu: int) -> bool:
        """Return whether a vCPU that does not leave KVM_RUN by itself executes all the time, instead of waiting."""
        return False

    @abc.abstractmethod
    def kick(self, machine: Any, vcpu: int) -> Iterator[Next]:
        """Yield the machine after a signal has ended KVM_RUN of a vCPU where it is now."""

    def read(self, machine: Any, vcpu: int) -> Any:
        """Return the machine after userspace has read or written registers of a vCPU, as the VMM does at each exit."""
        return machine

    @abc.abstractmethod
    def registers(self, machine: Any, vcpu: int) -> Sequence[int | None]:
        """Return the registers of a vCPU, in the order of abi/registers.py; None: any value."""

    def run_steps(self, action: Action) -> tuple[Step, ...]:
        """Return the steps that enter KVM_RUN."""
        immediate = (
            (SetRunBytes(kvm_run.IMMEDIATE_EXIT.offset, b"\x01", action.vcpu),)
            if action.mode & Mode.IMMEDIATE
            else ()
        )
        keep, signalled = bool(action.mode & Mode.KEEP), bool(action.mode & Mode.SIGNALLED)
        start = Start(action.vcpu, None, signalled) if keep else Start(action.vcpu, signalled=signalled)
        return (*immediate, start)
