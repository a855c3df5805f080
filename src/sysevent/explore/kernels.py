"""Kernels that are asked sequences: guests of this machine, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.hosts.openers import opener
from sysevent.model import Facts, Incident, Observation, Progress
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


class Kernel(Protocol):
    """A kernel that answers: engine.asker.Asker, or a fake that follows the model."""

    def facts(self) -> Facts:
        """What the kernel says of itself."""

    def stream(self, scenarios: Iterable[Scenario]) -> Iterator[Observation]:
        """The observations of many scenarios, in order, many on their way at a time."""

    def observe(self, scenario: Scenario) -> Observation:
        """The observation of one scenario, remembered by its name."""

    def forget(self, scenario: Scenario) -> None:
        """Let the next observe() run a scenario again."""

    def close(self) -> None:
        """End the kernel's guest."""


class Boots(Protocol):
    """Opens a kernel. It boots when it is first asked."""

    def __call__(self, name: str, *, fresh: bool) -> Kernel: ...


def guests(
    target: TargetSpec,
    settings: Settings,
    logs: Path,
    progress: Progress,
    incident: Callable[[Incident], None],
    modules: Path | None = None,
) -> Boots:
    """Return what opens guests of a target. logs: the directory of their logs, in one of the name of each guest."""

    def boot(name: str, *, fresh: bool) -> Kernel:
        own = msgspec.structs.replace(settings, snapshots=settings.snapshots and not fresh)
        listeners = Listeners(progress, incident, _unrecorded)
        return Asker(target, opener(target, own, modules), own, logs / name, listeners)

    return boot


def _unrecorded(_target: str, _seen: Observation) -> None:
    """Do nothing: the observations of findings are recorded by themselves."""
