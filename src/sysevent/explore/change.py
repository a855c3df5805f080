"""Draws sequences that are changes of others: of those that reached lines of the kernel first.

What one sequence reached is where the next can begin. A part of it stays, some actions are drawn as for any sequence,
and what followed goes on behind them, or the end of another one that has the same machine does.

hypothesis.target() serves for what a sequence gives as soon as it is drawn. Here its answer arrives hundreds of
sequences later, so that what is kept is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence as Of
from typing import Any

from sysevent.conformance import play
from sysevent.conformance.contract import Contract
from sysevent.conformance.machine import Action
from sysevent.conformance.play import Sequence
from sysevent.explore import generate
from sysevent.explore.extra import Phase, hypothesis, strategies
from sysevent.explore.validity import valid

# Actions that are drawn into a sequence, and those of it that they replace, at most.
_DRAWN, _REPLACED = 6, 2
# Of the sequences that are kept, half of the changes are made of so many: those that are given first.
_FIRST = 16


@strategies.composite
def changes(draw: Any, contract: Contract, kept: Of[Sequence], longest: int = generate.LONGEST) -> Sequence:
    """Return a sequence of the model that begins like one of those that are kept."""
    base = _chosen(draw, kept)
    place = draw(strategies.integers(0, len(base.actions)))
    begun = generate.with_waits(Sequence(base.arch, base.made, base.actions[:place]))
    try:
        states = play.begin(contract, base.made)
        for action in begun.actions:
            states = play.after(contract, states, action)
        actions = [*begun.actions, *generate.extension(draw, contract, base.made, states, _DRAWN)]
    except play.TooManyStates:
        hypothesis.reject()
    rest = _rest(draw, base, place, kept)
    whole = _whole(base, (*actions, *rest), longest)
    return whole if valid(contract, whole) else _whole(base, tuple(actions), longest)


def _chosen(draw: Any, kept: Of[Sequence]) -> Sequence:
    some = kept[:_FIRST] if draw(strategies.booleans()) else kept
    chosen: Sequence = some[draw(strategies.integers(0, len(some) - 1))]
    return chosen


def _rest(draw: Any, base: Sequence, place: int, kept: Of[Sequence]) -> tuple[Action, ...]:
    """Return what follows: the rest of the sequence, or the end of another one."""
    if draw(strategies.integers(0, 2)) == 0:
        others = [one for one in kept if one.made == base.made]
        base = others[draw(strategies.integers(0, len(others) - 1))]
        place = draw(strategies.integers(0, len(base.actions)))
    return base.actions[place + draw(strategies.integers(0, _REPLACED)) :]


def _whole(base: Sequence, actions: tuple[Action, ...], longest: int) -> Sequence:
    return generate.with_waits(Sequence(base.arch, base.made, actions[:longest]))


def batch(contract: Contract, seed: int, size: int, kept: Of[Sequence]) -> list[Sequence]:
    """Return changes of sequences, at most so many: the same for the same seed and the same sequences."""
    found: dict[Sequence, None] = {}

    @hypothesis.seed(seed)
    @hypothesis.settings(generate.QUIET, max_examples=size, phases=[Phase.generate])
    @hypothesis.given(changes(contract, kept))
    def each(sequence: Sequence) -> None:
        found[sequence] = None

    each()
    return list(found)
