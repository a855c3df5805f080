"""The kernels under test as guests of this machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sysevent.bisect.ask import Boot, Subject
from sysevent.engine.guest import Guest
from sysevent.model import Incident, Observation, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_BOOT = 60  # seconds until a kernel of our own configuration must have answered; it takes less than one
# What it is told besides, by architecture.
_OWN_WORDS = {
    # So that a kernel that dies before its drivers says why.
    "arm64": "earlycon",
    "riscv64": "earlycon",
    # Calibrating the TSC against a timer fails at times under TCG on a loaded machine; then a small kernel
    # livelocks in its first KVM_RUN (17 of 30 runs, and 0 of 20 with a given frequency). The configuration
    # has no ACPI to reboot with after a panic: a triple fault is left.
    "x86_64": "tsc_early_khz=1000000 reboot=t",
}


def own(spec: TargetSpec) -> TargetSpec:
    """A target for kernels of our own configuration: it has no virtio, so nothing needs to wait for it."""
    words = f"{spec.append} {_OWN_WORDS.get(spec.arch, '')}".strip()
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
