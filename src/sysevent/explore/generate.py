"""Makes sequences by Hypothesis, and lets it shrink those with which a kernel disagrees.

A sequence is drawn action by action from those that the model has in its present state. Asking a kernel for one
sequence at a time is slow, so a batch is drawn first, and all of it is asked. The same seed draws the same batch again:
if a kernel disagrees with one of its sequences, Hypothesis gets to that one without a guest, and then asks for each
shorter one that it tries.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from sysevent.conformance import play
from sysevent.conformance.contract import Configuration, Contract
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.machine import Phase as RunPhase
from sysevent.conformance.play import Sequence
from sysevent.explore.extra import HealthCheck, Phase, hypothesis, strategies
from sysevent.explore.validity import has_program, valid

# Actions in a sequence.
LONGEST = 24
# vCPUs that are in KVM_RUN at the same time, and of actions that enter KVM_RUN one in so many that is not waited for.
_AT_ONCE, _ASYNC_ONE_IN = 3, 8
# Of the groups of actions, a sequence has one in so many: which of these is drawn first. What is wrong after three
# actions of twenty is met sooner where the other seventeen are left out ("swarm testing", Groce et al., 2012).
_KEPT_ONE_IN = (1, 2, 4)
# Sequences that Hypothesis tries when it shrinks one.
_ASKS = 80
QUIET = hypothesis.settings(
    database=None,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
    verbosity=hypothesis.Verbosity.quiet,
)


@strategies.composite
def sequences(draw: Any, contract: Contract, longest: int = LONGEST) -> Sequence:
    """Return a sequence of actions that the model has, after which no vCPU is in KVM_RUN."""
    made = _one(draw, contract.configurations)
    try:
        actions = extension(draw, contract, made, play.begin(contract, made), longest)
    except play.TooManyStates:
        hypothesis.reject()
    return Sequence(contract.arch, made, tuple(actions))


def extension(
    draw: Any, contract: Contract, made: Configuration, states: play.States, longest: int
) -> list[Action]:
    """Return actions that the model has in these states, after which no vCPU is in KVM_RUN. TooManyStates."""
    groups = _Groups(draw)
    actions: list[Action] = []
    for _ in range(draw(strategies.integers(1, longest))):
        action = _action(draw, contract, states, groups)
        alone = not action.enters or made.vcpus == 1 or len(_running(states)) >= _AT_ONCE
        if not alone and draw(_below(_ASYNC_ONE_IN)) == _ASYNC_ONE_IN - 1:
            action = Action(action.kind, action.vcpu, action.values, action.mode | Mode.ASYNC)
        states = play.after(contract, states, action)
        actions.append(action)
    for vcpu in _running(states):
        action = Action("wait", vcpu)
        states = play.after(contract, states, action)
        actions.append(action)
    return actions


class _Groups:
    """Which groups of actions one sequence has."""

    def __init__(self, draw: Any) -> None:
        self._draw, self._kept_one_in = draw, _one(draw, _KEPT_ONE_IN)
        self._kept: dict[object, bool] = {}

    def of(self, groups: tuple[tuple[Action, ...], ...]) -> Any:
        """Return those of some groups that the sequence has; all of them if it has none."""
        return [group for group in groups if self._keeps(group[0])] or groups

    def _keeps(self, first: Action) -> bool:
        """Return whether the sequence has a group, by its first action: the same for each vCPU. KVM_RUN always is."""
        group = first.kind, first.values if first.enters else ()
        if group not in self._kept:
            kept = first.kind == "run" or self._kept_one_in == 1
            self._kept[group] = kept or self._draw(_below(self._kept_one_in)) == 0
        return self._kept[group]


def _running(states: play.States) -> list[int]:
    """Return the vCPUs whose KVM_RUN was entered and not waited for: the same in every state."""
    machine = next(iter(states))
    return [n for n, vcpu in enumerate(machine.vcpus) if vcpu.phase is not RunPhase.OUT]


def _action(draw: Any, contract: Contract, states: play.States, groups: _Groups) -> Action:
    """Return an action on one of the vCPUs: a wait for one that is in KVM_RUN, anything else for the others."""
    machine = next(iter(states))
    vcpu = _one(draw, range(len(machine.vcpus)))
    if machine.vcpus[vcpu].phase is not RunPhase.OUT:
        meanwhile: Action = _one(draw, (Action("wait", vcpu), *contract.during_run(machine, vcpu)))
        return meanwhile
    offered = contract.choices(machine, vcpu)
    if not has_program(contract, states, vcpu):
        offered = tuple(group for group in offered if group[0].kind != "run")
    chosen: Action = _one(draw, _one(draw, groups.of(offered)))
    return chosen


def _one(draw: Any, values: Any) -> Any:
    return values[draw(_below(len(values)))]


@functools.cache
def _below(count: int) -> Any:
    return strategies.integers(0, count - 1)


def batch(contract: Contract, seed: int, size: int, longest: int = LONGEST) -> list[Sequence]:
    """Return the sequences that a seed gives, at most so many."""
    found: list[Sequence] = []
    _draw(contract, seed, size, longest, found.append, [Phase.generate])
    return found


class _Found(Exception):
    """The kernel disagrees with the sequence."""


class _Enough(BaseException):
    """Hypothesis has asked often enough. Not an Exception: it would take that for another failure."""


def shrink(
    contract: Contract,
    seed: int,
    size: int,
    wanted: Sequence,
    disagrees: Callable[[Sequence], bool],
    longest: int = LONGEST,
) -> Sequence:
    """Return the shortest sequence that Hypothesis finds with which the kernel still disagrees.

    wanted: a sequence of batch() with the same seed and sizes. disagrees: asks the kernel, a limited number of times.
    The sequence itself is returned if Hypothesis cannot draw it again.
    """
    best, reached, asked = wanted, False, 0

    def one(sequence: Sequence) -> None:
        nonlocal best, reached, asked
        reached = reached or sequence == wanted
        if not reached:
            return
        asked += 1
        if asked > _ASKS:
            raise _Enough
        if sequence == wanted or disagrees(sequence):
            best = min(best, sequence, key=lambda each: len(each.actions))
            raise _Found

    # Flaky: a disagreement that depends on time, or is not looked for any more.
    with contextlib.suppress(_Found, _Enough, hypothesis.errors.Flaky):
        _draw(contract, seed, size, longest, one, [Phase.generate, Phase.shrink])
    return best


def _draw(
    contract: Contract,
    seed: int,
    size: int,
    longest: int,
    take: Callable[[Sequence], None],
    phases: list[Phase],
) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(QUIET, max_examples=size, phases=phases)
    @hypothesis.given(sequences(contract, longest))
    def each(sequence: Sequence) -> None:
        take(sequence)

    each()


def with_waits(sequence: Sequence) -> Sequence:
    """Return a sequence with a wait at its end for each vCPU that is still in KVM_RUN."""
    running: dict[int, None] = {}
    for action in sequence.actions:
        if action.enters and action.mode & Mode.ASYNC:
            running[action.vcpu] = None
        elif action.kind == "wait":
            running.pop(action.vcpu, None)
    waits = tuple(Action("wait", vcpu) for vcpu in running)
    return Sequence(sequence.arch, sequence.made, (*sequence.actions, *waits))


def drop_actions(contract: Contract, sequence: Sequence, disagrees: Callable[[Sequence], bool]) -> Sequence:
    """Return a sequence without those actions that the disagreement does not need.

    For what Hypothesis leaves: it shrinks how actions are drawn, and what can be drawn depends on the actions before.
    """
    changed = True
    while changed:
        changed, at = False, 0
        while at < len(sequence.actions):
            for actions in _simpler(sequence.actions, at):
                simpler = Sequence(sequence.arch, sequence.made, actions)
                if valid(contract, simpler) and disagrees(simpler):
                    sequence, changed = simpler, True
                    break
            else:
                at += 1
    return sequence


def _simpler(actions: tuple[Action, ...], at: int) -> Iterator[tuple[Action, ...]]:
    """Yield simpler actions: without one of them, and with one that is simpler.

    A "next" goes on where the call before it came back. Without that it must be a "call". A KVM_RUN that is waited for
    at once is simpler than one beside which others happen.
    """
    action, before, behind = actions[at], actions[:at], actions[at + 1 :]
    yield (*before, *behind)
    following = next(
        (n for n, one in enumerate(behind) if one.vcpu == action.vcpu and one.kind == "next"), None
    )
    if following is not None:
        one = behind[following]
        called = Action("call", one.vcpu, one.values, one.mode)
        yield (*before, *behind[:following], called, *behind[following + 1 :])
    if action.mode & Mode.ASYNC and (wait := Action("wait", action.vcpu)) in behind:
        at_once = Action(action.kind, action.vcpu, action.values, action.mode & ~Mode.ASYNC)
        end = behind.index(wait)
        yield (*before, at_once, *behind[:end], *behind[end + 1 :])
    if action.mode:
        yield (*before, Action(action.kind, action.vcpu, action.values), *behind)
