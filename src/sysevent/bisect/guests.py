"""The kernels under test as guests of this machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.bisect.ask import Boot, Subject
from sysevent.engine.guest import Guest
from sysevent.model import Incident, Observation, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_BOOT = 60  # seconds until a kernel of our own configuration must have answered; it takes less than one


def own(spec: TargetSpec) -> TargetSpec:
    """A target for kernels of our own configuration: it has no virtio, so nothing needs to wait for it."""
    words = f"{spec.append} {ARCHITECTURES[spec.arch].own_kernel_words}".strip()
    return msgspec.structs.replace(spec, append=words, channel="serial", boot=min(spec.boot, _BOOT))


def boots(spec: TargetSpec, settings: Settings, progress: Progress, modules: Path | None = None) -> Boot:
    """How to boot kernels on a target; nothing starts before a guest is first asked."""

    def boot(kernel: str, logs: Path) -> Subject:
        def incident(what: Incident) -> None:
            progress(f"  {what.reason.splitlines()[0]}{'; once more' if what.retried else ''}")

        def observation(_target: str, _seen: Observation) -> None:
            """Kept with the step."""

        return Guest(
            msgspec.structs.replace(spec, kernel=kernel),
            settings,
            logs,
            lambda _line: None,
            incident,
            observation,
            modules,
        )

    return boot
