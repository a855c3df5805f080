"""Opens hosts whose kernel runs already, local or over SSH: from this machine they need a VMM for each ABI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sysevent import wire
from sysevent.arches import ARCHITECTURES, Abi, Architecture
from sysevent.build import programs
from sysevent.hosts.base import Host
from sysevent.model import ExpectedKernel, KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# Number and program of each ABI, as bytes; the native one is the first.
Vmms = tuple[tuple[int, bytes], ...]
# Creates a host that is not started: target, VMMs, folder of its logs, progress.
HostFactory = Callable[[TargetSpec, Vmms, Path, Progress], Host]
# Compiles the VMM of an architecture and an ABI.
VmmCompiler = Callable[[Architecture, Abi, Settings], programs.Program]


class RunningKernelOpener:
    """The Opener (hosts/base.py) of a target whose kernel runs already. It boots no kernel and has no snapshots."""

    origin = "running"

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        log: str,
        create_host: HostFactory,
        compile_vmm: VmmCompiler = programs.vmm,
    ) -> None:
        self.log = log
        self._spec = spec
        self._settings = settings
        self._create_host = create_host
        self._compile_vmm = compile_vmm
        self._vmms: Vmms = ()

    def kernel(self, progress: Progress) -> KernelImage | None:
        """None: the kernel of the machine is asked as it runs."""
        return None

    def prepare(self, progress: Progress) -> None:
        """Compile the VMMs that are not in the cache."""
        arch = ARCHITECTURES[self._spec.arch]
        self._vmms = tuple(
            (abi.number, self._compile_vmm(arch, abi, self._settings).content) for abi in arch.abis
        )

    def expected(self) -> ExpectedKernel:
        """Nothing: the kernel was not given as a file."""
        return ExpectedKernel()

    def restorable(self) -> bool:
        """False: there are no snapshots."""
        return False

    def open(self, logs: Path, progress: Progress, *, restore: bool) -> Host:
        """See Opener."""
        return self._create_host(self._spec, self._vmms, logs, progress)

    def hello_received(self, host: Host, hello: wire.Hello, progress: Progress) -> str:
        """Nothing to save; "": no incident."""
        return ""

    def try_snapshot(self, within: float) -> None:
        """Nothing was saved."""

    def forget(self, hello: wire.Hello | None) -> str:
        """Nothing to discard; "": no incident."""
        return ""
