"""Looks once more at a sequence with which a kernel disagrees: shrinks it in a second guest, which confirms it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from sysevent.conformance import play
from sysevent.conformance.contract import Contract
from sysevent.conformance.judge import ENDED, Disagreement, Judged, judge
from sysevent.conformance.play import Sequence
from sysevent.conformance.rules import Rule
from sysevent.conformance.scenario import scenario
from sysevent.decode.kernel_log import splats
from sysevent.explore import generate
from sysevent.explore.kernels import Kernel
from sysevent.model import Mismatch, Observation
from sysevent.scenario.steps import Scenario

ScenarioOf = Callable[[Contract, Sequence], Scenario]
# Seconds for shrinking one sequence.
SHRINKING = 60.0
# How often a sequence is asked again at most: vCPUs that run at the same time do not always meet.
_LOOKS = 3


class Finding(msgspec.Struct, frozen=True):
    """A kernel disagrees with the model."""

    sequence: Sequence
    asked: Scenario
    disagreement: Disagreement
    seen: Observation
    # Seen in a second guest, which was booted for that.
    confirmed: bool
    # Why it is not confirmed; "" if it is.
    doubt: str = ""


def log_rule(arch: str) -> Rule:
    """Return the rule that every sequence is judged by besides those of the model."""
    return Rule(arch, "kernel.log", "KVM logs no warning.", "Documentation/process/deprecated.rst, WARN()")


class Looking:
    """The second guest of a target."""

    def __init__(
        self,
        contract: Contract,
        kernel: Kernel,
        scenario_of: ScenarioOf = scenario,
        seconds: float = SHRINKING,
    ) -> None:
        """kernel: booted for that, and not restored. scenario_of: makes scenarios. seconds: for shrinking."""
        self._contract, self._kernel, self._scenario_of = contract, kernel, scenario_of
        self._deadline = time.monotonic() + seconds

    def at(self, sequence: Sequence, drawn: tuple[int, int] | None) -> Finding | None:
        """Return what is left of a sequence after shrinking; None if the kernel follows the model this time.

        drawn: seed and size of the batch that the sequence is from; None: it was not drawn. Raises what
        Kernel.observe() raises.
        """
        wrong, seen = self._look(sequence)
        if wrong is None:
            return None
        # Most warnings are given once in a boot.
        if wrong.rule == log_rule(self._contract.arch):
            return self._finding(sequence, wrong, seen)

        def disagrees(one: Sequence) -> bool:
            return self._disagrees(one, wrong.rule)

        shrunk = cut(sequence, wrong)
        if drawn is not None:
            shrunk = generate.shrink(self._contract, *drawn, sequence, disagrees)
        shrunk = generate.drop_actions(self._contract, shrunk, disagrees)
        final, seen = self._ask(shrunk)
        return None if final is None else self._finding(shrunk, final, seen)

    def _look(self, sequence: Sequence) -> tuple[Disagreement | None, Observation]:
        """Return what is wrong in one of several looks; a KVM_RUN that came too late only if it does in all of them.

        On a busy machine the watchdog is sometimes faster than a kernel that is right.
        """
        late = []
        for _ in range(_LOOKS):
            wrong, seen = self._ask(sequence)
            if wrong is not None and not _came_too_late(wrong):
                break
            late.append(wrong)
        else:
            wrong = wrong if all(late) else None
        return wrong, seen

    def _finding(self, sequence: Sequence, wrong: Disagreement, seen: Observation) -> Finding:
        return Finding(sequence, self._scenario_of(self._contract, sequence), wrong, seen, confirmed=True)

    def _ask(self, sequence: Sequence) -> tuple[Disagreement | None, Observation]:
        asked = self._scenario_of(self._contract, sequence)
        self._kernel.forget(asked)
        seen = self._kernel.observe(asked)
        return judged(self._contract, sequence, seen).disagreement, seen

    def _disagrees(self, sequence: Sequence, rule: Rule) -> bool:
        """Return whether the kernel breaks a rule; False when the time is over."""
        if time.monotonic() > self._deadline:
            return False
        try:
            found, _ = self._ask(sequence)
        except play.TooManyStates:
            return False
        return found is not None and found.rule == rule


def _came_too_late(wrong: Disagreement) -> bool:
    return any(one.got == ENDED for one in wrong.mismatches)


def judged(contract: Contract, sequence: Sequence, seen: Observation) -> Judged:
    """Return how a kernel's answer to a sequence fits the model, and whether KVM logged a warning meanwhile."""
    found = judge(contract, sequence, seen)
    warned = next((one for one in splats(seen.log.lines) if one.in_kvm and not one.stall), None)
    if warned is None or found.disagreement is not None:
        return found
    wrong = Mismatch("the kernel's log", "no warning with KVM in its trace", warned.headline)
    return Judged(
        found.rules, found.actions, Disagreement(log_rule(contract.arch), found.actions - 1, (wrong,))
    )


def cut(sequence: Sequence, wrong: Disagreement) -> Sequence:
    """Return a sequence without the actions behind the one that is wrong, but with the waits that it needs."""
    kept = sequence.actions[: wrong.number + 1]
    return generate.with_waits(msgspec.structs.replace(sequence, actions=kept))


def in_words(wrong: Disagreement) -> str:
    """Return the first thing that is wrong, in words."""
    first = wrong.mismatches[0]
    return f"{first.what}: got {first.got}, expected {first.expected}"
