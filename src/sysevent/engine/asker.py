"""Runs scenarios on one target: each once, its observation remembered; also facts, files, and prefetching.

A lost guest is booted once more, and the scenario in which it was lost is repeated once: it may not be the cause, and
no observation was made that a second try could hide.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, NATIVE, Abi, resolve_abi
from sysevent.build import programs
from sysevent.engine import target_file
from sysevent.engine.facts import facts as read_facts
from sysevent.engine.listeners import Listeners
from sysevent.engine.loop import Awaited, Loop
from sysevent.engine.payloads import Payloads, ReadPayload
from sysevent.engine.pipeline import Pipeline
from sysevent.engine.planned import Planned
from sysevent.engine.question import Key, Plan, Question
from sysevent.engine.request import Request
from sysevent.engine.restarts import Restarts
from sysevent.engine.session import Session
from sysevent.engine.stage import Stage, stage
from sysevent.errors import (
    GuestLost,
    HarnessError,
    NoKvm,
    NotApplicable,
    SyseventError,
    UsageError,
    VcpuStuck,
    copy_of,
)
from sysevent.hosts.base import Opener
from sysevent.model import Facts, KernelImage, Observation
from sysevent.scenario.control import CONTROLS, Control
from sysevent.scenario.facts import FACTS
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


class Asker:
    """One target with one kernel. It boots for its first question, and again after a loss."""

    def __init__(
        self,
        spec: TargetSpec,
        opener: Opener,
        settings: Settings,
        logs: Path,
        listeners: Listeners,
        *,
        facts: Sequence[Scenario] | None = None,
        loop: Loop | None = None,
        payload: ReadPayload = programs.payload,
        control: Control | None = None,
    ) -> None:
        """Nothing starts yet.

        facts: the scenarios that give the facts; the first must succeed. None: those of the architecture.
        loop: shared by all targets that run at the same time; None: this target runs alone.
        payload: how payloads are compiled and read.
        control: what a guest must pass for its answers to count. None: that of the architecture.
        """
        self.spec = spec
        self.arch = ARCHITECTURES[spec.arch]
        self.weight = 0
        self._listeners = listeners
        self.payloads = Payloads(self.arch, settings, payload)
        # How its host was opened, and what the host reported about itself.
        self.restarts = Restarts(spec, opener, settings, logs, listeners)
        self._pipeline = Pipeline(
            self.restarts,
            loop or Loop(),
            self.payloads.get,
            self._on_answer,
            control or CONTROLS[spec.arch],
            self.arch.abis[0],
        )
        self._observed: dict[Key, Observation | SyseventError] = {}
        self._seconds: dict[Key, float] = {}
        self._facts_scenarios = FACTS[spec.arch] if facts is None else tuple(facts)
        self._facts: Facts | None = None
        self._planned = Planned()

    def foresee(self, plan: Plan, *, complete: bool = True, weight: int = 0) -> None:
        """Prefetch the facts, and once they are known, the questions that the plan returns. Call it once.

        complete: True if these are all questions: when they are answered, the guest need not run on.
        weight: how many questions to expect, by which the scheduler orders its targets.
        """
        self.weight = weight
        self._planned = Planned(plan, complete=complete)
        self._prefetch(Question(scenario) for scenario in self._facts_scenarios)

    def abi(self, name: str) -> Abi:
        """The row of a VMM ABI by its name; "native" is the architecture's first. UsageError if no VMM has that ABI."""
        wanted = resolve_abi(self.arch.name, name)
        for abi in self.arch.abis:
            if abi.name == wanted:
                return abi
        known = ", ".join(abi.name for abi in self.arch.abis)
        raise UsageError(f"--abi {name}: {self.spec.name} runs VMMs of {known}")

    def facts(self) -> Facts:
        """What the running kernel reports about itself; remembered. Raises what observe() raises."""
        if self._facts is None:
            first, *others = self._facts_scenarios
            seen = [self.observe(first)]
            for scenario in others:
                with contextlib.suppress(HarnessError, NoKvm, VcpuStuck):
                    seen.append(self.observe(scenario))
            assert self.restarts.hello is not None
            self._facts = msgspec.structs.replace(
                read_facts(seen, self.restarts.hello), identity=self.restarts.identity
            )
        return self._facts

    def observe(self, scenario: Scenario, abi: str = NATIVE, *, recorded: bool = True) -> Observation:
        """The observation of a scenario, run by a VMM of an ABI; run once, then remembered, errors included.

        With recorded=False, it is passed to no listener. GuestLost if the guest was lost in it twice; any other
        SyseventError says why there is no observation.
        """
        key = self._key(scenario, abi)
        if key not in self._observed:
            self._ask(self._request(Question(scenario, abi, recorded)))
        found = self._observed[key]
        if isinstance(found, SyseventError):
            raise copy_of(found)
        return found

    def forget(self, scenario: Scenario, abi: str = NATIVE) -> None:
        """Let the next observe() run a scenario again."""
        self._observed.pop(self._key(scenario, abi), None)

    def seconds(self, scenario: Scenario, abi: str = NATIVE) -> float:
        """Duration of a scenario in seconds; KeyError if observe() was not called for it."""
        return self._seconds[self._key(scenario, abi)]

    def file(self, path: str, *, piece: int = target_file.PIECE, limit: int = target_file.LIMIT) -> bytes:
        """The content of a file of the target; not recorded. Raises as target_file.read() and Pipeline.ask() do."""

        def ask(scenario: Scenario) -> Observation:
            return self._pipeline.ask(Request(scenario, self.arch.abis[0]))

        return target_file.read(ask, self.arch.name, path, self.spec.id, piece=piece, limit=limit)

    def stream(self, scenarios: Iterable[Scenario], abi: str = NATIVE) -> Iterator[Observation]:
        """The observations of many scenarios, in order, several in flight at a time; none is remembered.

        Any error ends it: GuestLost, and what decode() of scenario/request.py raises.
        """
        row, window = self.abi(abi), self.running().host.window
        pending: deque[Request] = deque()
        for scenario in scenarios:
            pending.append(Request(scenario, row))
            self._pipeline.send(pending[-1])
            if len(pending) >= window:
                yield self._pipeline.answer(pending.popleft())
        while pending:
            yield self._pipeline.answer(pending.popleft())

    def running(self) -> Session:
        """A session that is ready: see Pipeline.running()."""
        return self._pipeline.running()

    def _ask(self, request: Request) -> None:
        """Get the answer to a request, an observation or an error, and store it under its key."""
        assert request.key is not None
        begin = time.monotonic()
        try:
            sent = self._pipeline.find_in_flight(request.key)
            if sent is None or not self._wait_for(sent):
                if request.scenario.arch != self.arch.name:
                    raise NotApplicable(
                        f"{request.scenario.name} is for {request.scenario.arch}; "
                        f"{self.spec.name} is {self.arch.name}"
                    )
                self._pipeline.ask(request)
        except SyseventError as error:
            self._record(request.key, error, time.monotonic() - begin)

    def _wait_for(self, sent: Request) -> bool:
        """Wait for a request in flight; False if the guest was lost meanwhile, maybe because of another request."""
        try:
            self._pipeline.answer(sent)
        except GuestLost as error:
            self._pipeline.lost(error)
            return False
        return True

    def _on_answer(self, request: Request) -> None:
        """Store the answer to a request, and pass it to the listeners."""
        if request.key is None or request.answer is None:
            return
        self._record(request.key, request.answer, request.seconds)
        if request.recorded and isinstance(request.answer, Observation):
            self._listeners.observation(self.spec.id, request.answer)
        self._prefetch_plan()

    def _record(self, key: Key, answer: Observation | SyseventError, seconds: float) -> None:
        self._observed[key], self._seconds[key] = answer, seconds
        self._planned.answered(key)

    def _prefetch_plan(self) -> None:
        """Prefetch the questions of the plan, once the facts are known."""
        plan = self._planned.plan
        if plan is not None and all(self._key(s) in self._observed for s in self._facts_scenarios):
            self._planned.plan = None
            try:
                facts = self.facts()
            except SyseventError:
                # The next call of facts() raises it again.
                self._planned.cannot_be_followed()
            else:
                self._prefetch(plan(facts))

    def _prefetch(self, questions: Iterable[Question]) -> None:
        fresh: dict[Key, Request] = {}
        for question in questions:
            key = self._key(question.scenario, question.abi)
            if key not in self._observed:
                fresh.setdefault(key, self._request(question))
        self._planned.add(fresh)
        self._pipeline.prefetch(fresh.values())

    def _request(self, question: Question) -> Request:
        key = self._key(question.scenario, question.abi)
        return Request(question.scenario, self.abi(question.abi), key, question.recorded)

    def _key(self, scenario: Scenario, abi: str = NATIVE) -> Key:
        return Key(scenario.name, self.abi(abi).name)

    # The methods below are for the scheduler, and for records of the run.

    @property
    def kernel(self) -> KernelImage | None:
        """The image that the target boots, fetched on first use; None if its kernel runs already. ImageError."""
        return self.restarts.kernel()

    @property
    def stage(self) -> Stage:
        """What the target does at the moment."""
        return stage(self.restarts, len(self._planned.unanswered), self._planned.count)

    @property
    def finished(self) -> bool:
        """True if all questions of a complete plan are answered, so that the guest need not run on."""
        return self._planned.finished and self._pipeline.idle

    def awaits(self, scenario: Scenario | None = None, abi: str = NATIVE) -> bool:
        """Whether a foreseen question has no answer yet; None: any of them. False if the facts have an error."""
        if self._planned.plan is not None:
            return not isinstance(self._observed.get(self._key(self._facts_scenarios[0])), SyseventError)
        return self._planned.awaits(self._key(scenario, abi) if scenario else None)

    def wait(self, done: Callable[[], bool] | None = None) -> bool:
        """Wait until done() is True; None: until all planned questions are answered. Errors are raised by observe().

        False if that cannot be waited for: no guest runs, it is lost, or it is asked nothing more, as after a loss.
        """
        return self._pipeline.wait(done or (lambda: self._pipeline.idle))

    def sources(self) -> list[int]:
        """File descriptors that become readable when attend() has something to do."""
        return self._pipeline.sources()

    def attend(self, awaited: Awaited | None = None) -> None:
        """Receive and send while another target is waited for. An error is raised by the next observe()."""
        if awaited is self._pipeline:
            return
        try:
            self._pipeline.advance()
        except SyseventError:
            self._pipeline.stop_prefetch()
            self._planned.cannot_be_followed()

    def close(self) -> None:
        """End the host, if it runs."""
        self._pipeline.close()
