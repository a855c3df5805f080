"""Asks one target as many sequences as a budget permits, and shrinks and confirms those with which it disagrees."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from sysevent.conformance import play
from sysevent.conformance.contract import Contract
from sysevent.conformance.judge import Disagreement
from sysevent.conformance.play import Sequence
from sysevent.conformance.rules import Rule
from sysevent.conformance.scenario import scenario
from sysevent.errors import DiskFull, HarnessError, InfrastructureError, SyseventError
from sysevent.explore import change, generate
from sysevent.explore.coverage import Coverage
from sysevent.explore.kernels import Boots, Kernel
from sysevent.explore.shrinking import SHRINKING, Finding, Looking, ScenarioOf, in_words, judged
from sysevent.explore.validity import valid
from sysevent.model import Facts, Observation, Progress
from sysevent.scenario.steps import Scenario
from sysevent.text import one_line

# Sequences that are drawn at a time.
BATCH = 64
# Seconds between two lines of progress.
_EVERY = 10.0
# Guests that may be lost before the target is given up.
_LOSSES = 3


class Report(msgspec.Struct):
    """What was asked, and what came of it."""

    sequences: int = 0
    actions: int = 0
    # Of the actions, calls of KVM_RUN.
    runs: int = 0
    # Seconds in which the kernel was asked, without those of shrinking.
    seconds: float = 0.0
    # How many sequences followed each rule.
    rules: Counter[Rule] = msgspec.field(default_factory=Counter)
    findings: list[Finding] = msgspec.field(default_factory=list)
    # Rules with a disagreement that was seen once only, with the reason.
    unrepeated: dict[Rule, str] = msgspec.field(default_factory=dict)
    # Guests that were lost, with the sequence that was asked first of those without an answer.
    losses: list[tuple[str, Sequence | None]] = msgspec.field(default_factory=list)

    # Ctrl-C or another signal has ended it.
    interrupted: bool = False

    @property
    def rate(self) -> float:
        """Sequences in a second."""
        return self.sequences / self.seconds if self.seconds else 0.0


class Limits(msgspec.Struct, frozen=True):
    """When to end."""

    # In seconds; of asking, not of booting.
    budget: float = 60.0
    # Sequences; 0: as many as the budget permits.
    most: int = 0
    # Findings; 0: go on.
    findings: int = 0


class Session:
    """One target and its model."""

    def __init__(
        self,
        boots: Boots,
        limits: Limits,
        seed: int,
        progress: Progress,
        scenario_of: ScenarioOf = scenario,
        shrinking: float = SHRINKING,
    ) -> None:
        """Nothing starts yet. scenario_of: makes scenarios. shrinking: seconds for shrinking one sequence."""
        # Set before run() if what the sequences reach is recorded; guided: and decides which ones follow.
        self.coverage: Coverage | None = None
        self.guided = True
        self._scenario_of, self._shrinking = scenario_of, shrinking
        self._boots, self._limits, self._seed, self._progress = boots, limits, seed, progress
        # The one that is asked; None before it is opened, and after its guest was lost.
        self.kernel: Kernel | None = None
        self._second: Kernel | None = None
        self._guests = 0
        # The time (time.monotonic()) since which the kernel is asked.
        self._since = 0.0
        self.report = Report()

    def open(self) -> Facts:
        """Boot the kernel, and return what it says of itself. Raises what Asker.facts() raises."""
        self.kernel = self._open(fresh=False)
        return self.kernel.facts()

    def run(self, contract: Contract, first: Iterable[Sequence], *, only_first: bool = False) -> Report:
        """Ask the first sequences, and then random ones up to the limits; not with only_first."""
        drawn = _first(first, contract) if only_first else self._all(first, contract)
        self._since = time.monotonic()
        end = self._since + self._limits.budget
        next_line = self._since + _EVERY
        origin: dict[str, tuple[Sequence, int | None]] = {}
        while len(self.report.losses) < _LOSSES:
            try:
                for seen in self._stream(contract, drawn, end, origin):
                    sequence, seed = origin.pop(seen.scenario)
                    self._take(contract, sequence, seed, seen)
                    if 0 < self._limits.findings <= len(self.report.findings):
                        break
                    if time.monotonic() >= next_line:
                        self._say(contract)
                        next_line = time.monotonic() + _EVERY
                break
            except DiskFull:
                raise
            except KeyboardInterrupt:
                # What is known is reported first.
                self.report.interrupted = True
                break
            except (InfrastructureError, HarnessError) as error:
                self._lost(error, _suspect(error, origin))
                origin.clear()
        self._say(contract)
        return self.report

    def _all(self, first: Iterable[Sequence], contract: Contract) -> Iterator[tuple[Sequence, int | None]]:
        yield from _first(first, contract)
        seed = self._seed
        while True:
            yield from ((sequence, seed) for sequence in generate.batch(contract, seed, BATCH))
            if self.guided and self.coverage is not None and (kept := self.coverage.kept):
                # They cannot be drawn again: meanwhile others are kept.
                yield from ((sequence, None) for sequence in change.batch(contract, seed, BATCH, kept))
            seed += 1

    def _stream(
        self,
        contract: Contract,
        drawn: Iterator[tuple[Sequence, int | None]],
        end: float,
        origin: dict[str, tuple[Sequence, int | None]],
    ) -> Iterator[Observation]:
        """Yield observations until the limits are reached. origin: filled with the sequences on their way."""

        def scenarios() -> Iterator[Scenario]:
            for sequence, seed in drawn:
                most = self._limits.most
                if time.monotonic() >= end or (most and self.report.sequences + len(origin) >= most):
                    return
                try:
                    asked = self._scenario_of(contract, sequence)
                except play.TooManyStates:
                    continue
                if asked.name not in origin:
                    origin[asked.name] = sequence, seed
                    yield asked if self.coverage is None else self.coverage.recording(asked)

        if self.kernel is None:
            self.kernel = self._open(fresh=False)
        yield from self.kernel.stream(scenarios())

    def _take(self, contract: Contract, sequence: Sequence, seed: int | None, seen: Observation) -> None:
        """Count a sequence; shrink and confirm it if the kernel disagrees."""
        found = judged(contract, sequence, seen)
        if self.coverage is not None:
            self.coverage.take(sequence, seen)
        self.report.sequences += 1
        self.report.actions += found.actions
        self.report.runs += sum(action.waits for action in sequence.actions[: found.actions])
        self.report.rules.update(found.rules)
        wrong = found.disagreement
        if wrong is None or any(one.disagreement.rule == wrong.rule for one in self.report.findings):
            return
        self._progress(f"disagreement about {wrong.rule.claim}: {in_words(wrong)}; looking again")
        self._count_time()
        self._find(contract, sequence, seed, wrong)
        self._since = time.monotonic()

    def _count_time(self) -> None:
        """Add the time since the kernel is asked to the report's."""
        now = time.monotonic()
        self.report.seconds += now - self._since
        self._since = now

    def _find(self, contract: Contract, sequence: Sequence, seed: int | None, wrong: Disagreement) -> None:
        """Shrink a sequence with which the kernel disagrees, and see it once more in another guest."""
        if self._second is None:
            self._second = self._open(fresh=True)
        looking = Looking(contract, self._second, self._scenario_of, self._shrinking)
        try:
            found = looking.at(sequence, None if seed is None else (seed, BATCH))
        except (InfrastructureError, HarnessError) as error:
            self._unrepeated(wrong, f"; it could not be asked again: {one_line(error)}")
            self._close_second()
            return
        if found is None:
            self._unrepeated(wrong)
        elif all(one.disagreement.rule != found.disagreement.rule for one in self.report.findings):
            self.report.findings.append(found)

    def _unrepeated(self, wrong: Disagreement, more: str = "") -> None:
        self.report.unrepeated[wrong.rule] = f"{in_words(wrong)}{more}"

    def _lost(self, error: SyseventError, sequence: Sequence | None) -> None:
        self._progress(f"guest lost: {one_line(error)}")
        self.report.losses.append((one_line(error), sequence))
        if self.kernel is not None:
            self.kernel.close()
        self.kernel = None

    def _open(self, *, fresh: bool) -> Kernel:
        self._guests += 1
        return self._boots(f"guest-{self._guests}", fresh=fresh)

    def _say(self, contract: Contract) -> None:
        self._count_time()
        report = self.report
        reachable = [rule for rule in contract.rules if rule not in contract.lacking()]
        reached = sum(rule in report.rules for rule in reachable)
        self._progress(
            f"{report.sequences} sequences, {report.runs} calls of KVM_RUN, {report.rate:.1f} sequences/s; "
            f"rules {reached} of {len(reachable)}{self._lines()}; findings {len(report.findings)}"
        )

    def _lines(self) -> str:
        """Return how many lines of the producers were reached, for a line of progress."""
        found = self.coverage
        return "" if found is None else f", lines {found.lines_reached} of {found.lines}"

    def _close_second(self) -> None:
        if self._second is not None:
            self._second.close()
        self._second = None

    def close(self) -> None:
        """End all guests."""
        self._close_second()
        if self.kernel is not None:
            self.kernel.close()
        self.kernel = None


def _suspect(error: SyseventError, origin: dict[str, tuple[Sequence, int | None]]) -> Sequence | None:
    """Return the sequence that an error names, or else the first of those without an answer; None without any."""
    named = (sequence for name, (sequence, _) in origin.items() if name in str(error))
    return next(named, next((sequence for sequence, _ in origin.values()), None))


def _first(first: Iterable[Sequence], contract: Contract) -> Iterator[tuple[Sequence, int | None]]:
    return ((sequence, None) for sequence in first if valid(contract, sequence))
