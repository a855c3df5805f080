"""Boots the kernels of a bisection as guests of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.bisect.ask import Boot, KernelUnderTest
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.engine.question import Key
from sysevent.errors import UsageError
from sysevent.hosts.openers import opener
from sysevent.model import Incident, KernelLog, Observation, Progress
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec


class Guest(Asker):
    """A kernel under test that runs in a guest."""

    def kernel_logs(self) -> Sequence[tuple[Key, KernelLog]]:
        """What the kernel logged around each scenario so far, controls included, in the order of the replies."""
        return self.restarts.kernel_logs.entries


def target_for(glob: str, files: Sequence[str], arch: Architecture) -> TargetSpec:
    """The target that boots the kernels: the one that glob selects of the known targets, by default ARCH-tcg.

    files are paths of target files. UsageError if glob selects none or several.
    """
    chosen = spec.select(spec.known(files), [glob or f"{arch.name}-tcg"], [arch.name], [])
    if len(chosen) > 1:
        raise UsageError(f"--target {glob} matches several targets: {', '.join(one.name for one in chosen)}")
    return chosen[0]


def boot_on(target: TargetSpec, settings: Settings, progress: Progress, modules: Path | None = None) -> Boot:
    """A function that opens kernels on a target. modules: directory of the modules of a kernel that is a path."""

    def boot(kernel: str, logs: Path) -> KernelUnderTest:
        def incident(what: Incident) -> None:
            progress(f"  {what.reason.splitlines()[0]}{'; booting once more' if what.retried else ''}")

        def observation(_target: str, _seen: Observation) -> None:
            """Do nothing: the step holds the observations."""

        own = msgspec.structs.replace(target, kernel=kernel)
        listeners = Listeners(lambda _line: None, incident, observation)
        return Guest(own, opener(own, settings, modules), settings, logs, listeners)

    return boot
