"""Compares what a kernel gave for a sequence with what the model allows. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sysevent.abi import kvm_run, names
from sysevent.abi.registers import REGISTERS
from sysevent.conformance import play
from sysevent.conformance.contract import Contract
from sysevent.conformance.machine import Action, Mode, Page
from sysevent.conformance.machine import Answer as Predicted
from sysevent.conformance.play import Sequence, States
from sysevent.conformance.rules import Rule
from sysevent.conformance.scenario import label
from sysevent.decode.event import Event, decode
from sysevent.model import Answer, Mismatch, Observation, RawExit

_FIRST, _END = kvm_run.UNION
# Members that a mismatch of the union is called by, the most telling first.
_MEMBERS = (kvm_run.TYPE, kvm_run.NDATA, *kvm_run.DATA)


class Disagreement(msgspec.Struct, frozen=True):
    """A kernel gave what the model does not allow."""

    # The rule that is broken.
    rule: Rule
    # The number of the action in the sequence.
    number: int
    mismatches: tuple[Mismatch, ...]


class Judged(msgspec.Struct, frozen=True):
    """A sequence that was compared with the model."""

    # The rules that explain what the kernel gave.
    rules: frozenset[Rule]
    # Actions that were compared, until the disagreement.
    actions: int
    disagreement: Disagreement | None = None


def judge(contract: Contract, sequence: Sequence, seen: Observation) -> Judged:
    """Return whether the model allows what a kernel gave for a sequence."""
    states = play.begin(contract, sequence.made)
    for number, action in enumerate(sequence.actions):
        where = label(number, action)
        if action.enters:
            states = play.entered(contract, states, action)
        if action.waits:
            states, wrong = _exit(contract, states, action, where, seen.exits.get(where), seen.arch)
        elif action.enters:
            continue
        else:
            states, wrong = _answer(contract, states, action, where, seen.answers.get(where))
        if wrong is not None:
            rule, mismatches = wrong
            return Judged(_rules(states), number, Disagreement(rule, number, mismatches))
    return Judged(_rules(states), len(sequence.actions))


def _rules(states: States) -> frozenset[Rule]:
    """Return the rules that every possible way has followed."""
    every = list(states.values())
    return frozenset.intersection(*every) if every else frozenset()


# What a Mismatch has got where a KVM_RUN did not return by itself.
ENDED = "the watchdog ended KVM_RUN"
_Wrong = tuple[Rule, tuple[Mismatch, ...]] | None


def _answer(
    contract: Contract, states: States, action: Action, where: str, got: Answer | None
) -> tuple[States, _Wrong]:
    """Return the states that an answer leaves; those before it, with what is wrong, if it leaves none."""
    wrong: list[tuple[Rule, tuple[Mismatch, ...]]] = []
    fitting = []
    for machine, rules, wanted in play.asked(contract, states, action):
        own = max(rules - states.get(machine, frozenset()), default=None, key=lambda rule: rule.name)
        found = _answer_mismatches(contract, action, where, wanted, got)
        if not found:
            fitting.append((machine, rules))
        elif own is not None or rules:
            wrong.append((own or next(iter(rules)), found))
    if fitting:
        return play.merge(fitting), None
    return states, _nearest(wrong)


def _answer_mismatches(
    contract: Contract, action: Action, where: str, wanted: Predicted, got: Answer | None
) -> tuple[Mismatch, ...]:
    if got is None:
        return (Mismatch(where, "an answer", "none was recorded"),)
    if got.errno != wanted.errno:
        return (Mismatch(where, names.errno(wanted.errno), names.errno(got.errno)),)
    if not wanted.errno and wanted.ret is not None and got.ret != wanted.ret:
        return (Mismatch(f"{where}: returned", str(wanted.ret), str(got.ret)),)
    if wanted.value is not None:
        value = contract.value(action, got.data)
        if value != wanted.value:
            return (Mismatch(f"{where}: value", f"{wanted.value:#x}", f"{value:#x}"),)
    return ()


def _exit(
    contract: Contract, states: States, action: Action, where: str, raw: RawExit | None, arch: str
) -> tuple[States, _Wrong]:
    """Return the states that an exit leaves; those before it, with what is wrong, if it leaves none."""
    end = play.waited(contract, states, action.vcpu)
    candidates = {**end.returned, **end.kicked} if raw is not None and raw.kicked else end.returned
    event = decode(raw, arch) if raw is not None else None
    fitting: list[tuple[Any, frozenset[Rule]]] = []
    wrong: list[tuple[Rule, tuple[Mismatch, ...]]] = []
    for machine, rules in candidates.items():
        found = _exit_mismatches(contract, machine, action, where, event)
        rule = machine.vcpus[action.vcpu].rule
        assert rule is not None
        if found:
            wrong.append((rule, found))
        else:
            fitting.append((machine, rules))
    if fitting:
        return play.out(contract, play.merge(fitting), action.vcpu), None
    return states, _nearest(wrong) if wrong else _unexpected(end, action, where, event)


def _unexpected(end: play.Waited, action: Action, where: str, event: Event | None) -> _Wrong:
    """Return what is wrong if KVM_RUN returned that must block, or blocked that must return."""
    other = {**end.kicked, **end.returned}
    rule = next(iter(other)).vcpus[action.vcpu].rule
    blocks = bool(end.kicked)
    wanted = "KVM_RUN blocks until a signal" if blocks else "KVM_RUN returns by itself"
    return rule, (Mismatch(f"{where}: exit_reason", wanted, "no exit" if event is None else _shown(event)),)


def _shown(event: Event) -> str:
    return ENDED if event.raw.kicked else str(event)


def _exit_mismatches(
    contract: Contract, machine: Any, action: Action, where: str, event: Event | None
) -> tuple[Mismatch, ...]:
    if event is None:
        return (Mismatch(where, "an exit", "none was recorded"),)
    vcpu, raw = machine.vcpus[action.vcpu], event.raw
    if raw.errno != vcpu.errno:
        return (Mismatch(where, names.errno(vcpu.errno), _shown(event)),)
    page: Page = vcpu.page
    found: list[Mismatch] = []
    if event.exit_reason != page.reason:
        wanted = names.exit_reason(page.reason)
        return (Mismatch(f"{where}: exit_reason", wanted, _shown(event), kvm_run.EXIT_REASON.span),)
    found += _union(where, page, raw)
    if page.flags is not None and event.field("run.flags") != page.flags:
        flags = event.field("run.flags")
        found.append(
            Mismatch(f"{where}: run.flags", f"{page.flags:#x}", f"{flags:#x}", kvm_run.RUN_FLAGS.span)
        )
    if raw.poison is not None and (raw.tail_changed or any(raw.head[_END : kvm_run.SYNC_FIRST.offset])):
        found.append(Mismatch(f"{where}: bytes after the union", "not written", "written"))
    wanted_registers = contract.registers(contract.read(machine, action.vcpu), action.vcpu)
    found += _registers(where, REGISTERS[contract.arch], wanted_registers, event)
    return tuple(found)


def _registers(
    where: str, called: Iterable[str], wanted: Iterable[int | None], event: Event
) -> Iterable[Mismatch]:
    for register, value in zip(called, wanted, strict=True):
        got = event.registers.get(register)
        if value is not None and got != value:
            yield Mismatch(
                f"{where}: {register}", f"{value:#x}", "unreadable" if got is None else f"{got:#x}"
            )


def _union(where: str, page: Page, raw: RawExit) -> list[Mismatch]:
    got = raw.head[_FIRST:_END]
    if got == page.union:
        return []
    for member in _MEMBERS:
        start, end = (at - _FIRST for at in member.span)
        if got[start:end] != page.union[start:end]:
            values = (int.from_bytes(part[start:end], "little") for part in (page.union, got))
            wanted, found = (f"{value:#x}" for value in values)
            return [Mismatch(f"{where}: {member.name}", wanted, found, member.span)]
    at = next(number for number, (a, b) in enumerate(zip(got, page.union, strict=True)) if a != b)
    return [
        Mismatch(f"{where}: byte {_FIRST + at}", f"{page.union[at]:#x}", f"{got[at]:#x}", (_FIRST + at, _END))
    ]


def _nearest(wrong: list[tuple[Rule, tuple[Mismatch, ...]]]) -> _Wrong:
    """Return the expectation that is broken in the fewest things."""
    return min(wrong, key=lambda one: len(one[1]))


def describe(sequence: Sequence, number: int) -> list[str]:
    """Return the actions of a sequence up to a number, a line each."""
    made = f"{sequence.made.vcpus} vCPUs {sequence.made.variant}".strip()
    return [made, *(f"{at} {action}" for at, action in enumerate(sequence.actions[: number + 1]))]


def entered_without_wait(action: Action) -> bool:
    """Return whether an action leaves its vCPU in KVM_RUN."""
    return action.enters and bool(action.mode & Mode.ASYNC)
