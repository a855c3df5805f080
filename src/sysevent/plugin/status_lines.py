"""How far a run is, as text: a line for each target, or all of them in one. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sysevent.engine.stage import ANSWERED, Stage
from sysevent.model import Status

# Targets that one line names.
_NAMED = 6


class TargetState(msgspec.Struct, frozen=True):
    """How far one target is."""

    name: str
    # Tests that are done, and all of them.
    done: int
    total: int
    counts: Mapping[Status, int]
    # None: nothing was started for it, or it is not known here, as in the first process of pytest -n.
    stage: Stage | None = None

    @property
    def finished(self) -> bool:
        """Whether all tests are done."""
        return self.done >= self.total


def text(state: TargetState) -> str:
    """Return what a target does, and each status so far that is not PASS: "asking 41 of 141"."""
    if state.finished:
        return f"{state.total} judged: {_counts(state.counts)}"
    stage = state.stage
    seen: dict[Status, int] = {each: n for each, n in state.counts.items() if each is not Status.PASS}
    if stage is not None and stage.planned:
        words = f"{stage.word} {stage.answered} of {stage.planned}"
    # One that cannot be started is judged all the same.
    elif stage is not None and stage is not ANSWERED and not state.done:
        words = stage.word
    elif stage is None and not state.done:
        words = "waiting"
    else:
        words = f"judging {state.done} of {state.total}"
    return f"{words}; {_counts(seen)}" if seen else words


def _counts(counts: Mapping[Status, int]) -> str:
    return ", ".join(f"{counts[status]} {status}" for status in Status if counts.get(status)) or "no verdicts"


def block(states: Sequence[TargetState], width: int, height: int) -> list[str]:
    """Return a line for each target, at most height lines shorter than width: the unfinished ones if not all fit."""
    shown = list(states)
    if len(shown) > height:
        shown = [state for state in states if not state.finished][: max(0, height - 1)]
    longest = max((len(state.name) for state in shown), default=0)
    lines = [f"  {state.name.ljust(longest)}  {text(state)}" for state in shown]
    if len(shown) < len(states):
        finished = sum(state.finished for state in states)
        lines.append(f"  {len(states)} targets, {finished} of them finished")
    return [line[: max(0, width - 1)] for line in lines[:height]]


def heartbeat(states: Sequence[TargetState], seconds: float) -> str:
    """Return one line about all targets that are not finished."""
    busy = [state for state in states if not state.finished]
    named = "; ".join(f"{state.name} {text(state)}" for state in busy[:_NAMED])
    more = f"; {len(busy) - _NAMED} more targets" if len(busy) > _NAMED else ""
    return f"after {seconds:.0f} s: {named}{more}"
