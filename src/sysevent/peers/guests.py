"""Guests for programs of others: as in a run, with the programs in their root, which our VMM's supervisor starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sysevent.decode.program import Ended, read_program
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.model import Facts, Incident, Observation, Progress
from sysevent.peers.drive import Case
from sysevent.scenario.control import CONTROLS, Control
from sysevent.scenario.steps import Program, Scenario, scenario_of
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


class EngineGuest:
    """The guests of one target: one, and another one after each loss. See Guest in drive.py."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        logs: Path,
        archives: Sequence[Path],
        progress: Progress,
        incident: Callable[[Incident], None],
        *,
        modules: Path | None = None,
        controlled: bool = True,
        on_answer: Callable[[Asker, Facts], None] | None = None,
    ) -> None:
        """Nothing starts yet.

        archives: with the programs, at their paths in a guest's root. controlled: False: a program's result counts
        although the guest does not pass a control, as for a kernel that is broken on purpose. on_answer: called with
        the facts of the kernel before the first program is run; None: they are not asked.
        """
        own = msgspec.structs.replace(settings, snapshots=False)
        control = CONTROLS[spec.arch]
        self._asker = Asker(
            spec,
            QemuOpener(spec, own, modules, archives=archives),
            own,
            logs,
            Listeners(progress, incident, lambda target, seen: None),
            control=control if controlled else Control(control.scenario, lambda seen: ""),
        )
        self._on_answer = on_answer

    def run(self, case: Case, seconds: float) -> Ended:
        """See Guest in drive.py."""
        if self._on_answer is not None:
            facts = self._asker.facts()
            on_answer, self._on_answer = self._on_answer, None
            on_answer(self._asker, facts)
        step = Program(case.arguments, "ended", milliseconds=int(seconds * 1000), merged=True)
        scenario = scenario_of(self._asker.arch.name, f"peers.{case.suite}.{case.name}", step)
        return read_program(self.observe(scenario).answers["ended"])

    def observe(self, scenario: Scenario) -> Observation:
        """Return what a scenario gives; it is run each time. Raises what Asker.observe() raises."""
        self._asker.forget(scenario)
        return self._asker.observe(scenario, recorded=False)

    def facts(self) -> Facts:
        """Return what the kernel reports about itself. Raises what Asker.facts() raises."""
        return self._asker.facts()

    def close(self) -> None:
        """See Guest in drive.py."""
        self._asker.close()
