"""Hosts on machines whose kernel runs already: what they need of this one is a VMM for each ABI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.hosts.base import Host, Others
from sysevent.model import KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

Vmms = tuple[tuple[int, Path], ...]  # number and program of each ABI; the native one is the first
Make = Callable[[TargetSpec, Vmms, Path, Progress, Others | None], Host]


class Machines:
    """See Opener in hosts/base.py. There is no short cut, and no kernel to boot."""

    origin = "running"

    def __init__(self, spec: TargetSpec, settings: Settings, log: str, make: Make) -> None:
        self.log = log
        self._spec = spec
        self._settings = settings
        self._make = make
        self._vmms: Vmms = ()

    def kernel(self, progress: Progress) -> KernelImage | None:
        return None

    def prepare(self, progress: Progress) -> None:
        arch = ARCHITECTURES[self._spec.arch]
        self._vmms = tuple((abi.number, programs.vmm(arch, abi, self._settings).path) for abi in arch.abis)

    def restorable(self) -> bool:
        return False

    def open(self, logs: Path, progress: Progress, others: Others | None, *, restore: bool) -> Host:
        return self._make(self._spec, self._vmms, logs, progress, others)

    def greeted(self, host: Host, hello: wire.Hello, progress: Progress) -> None:
        """Nothing to keep of it."""

    def forget(self, hello: wire.Hello | None) -> str:
        return ""
