"""A target that is being asked: booted, its facts read, each scenario run once and remembered."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sysevent import wire
from sysevent.arches import ARCHITECTURES, Abi
from sysevent.build import programs
from sysevent.decode import names
from sysevent.errors import GuestLost, HarnessError, NotApplicable, SyseventError, UsageError, VcpuStuck
from sysevent.hosts.qemu import QemuGuest
from sysevent.images import kernels
from sysevent.model import Facts, KernelImage, Observation, Progress
from sysevent.probe import catalog, request
from sysevent.probe.facts import facts
from sysevent.probe.scenario import File, Scenario
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_BOOTS = 4  # a guest that was lost this often is not worth another boot
_PIECE = 960 << 10  # bytes of a file that come in one reply (wire.BODY_MAX is 1 MiB)
_SLOW = 5.0  # how much longer than the VMM's own deadline a reply may take under TCG on a loaded machine


@dataclass(frozen=True, slots=True)
class Incident:
    """Something broke that is no verdict about the kernel's ABI."""

    target: str
    reason: str
    log: str  # path of the console's log
    retried: bool  # whether another boot followed


class Guest:
    """One target with one kernel. Boots when it is first asked, and again when it was lost."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        logs: Path,
        progress: Progress,
        on_incident: Callable[[Incident], None],
        on_observation: Callable[[str, Observation], None],
        modules: Path | None = None,
    ) -> None:
        self.spec = spec
        self.arch = ARCHITECTURES[spec.arch]
        self.logs = logs
        self._settings = settings
        self._progress = progress
        self._on_incident = on_incident
        self._on_observation = on_observation
        self._modules = modules
        self._host: QemuGuest | None = None
        self._boots = 0
        self._kernel: KernelImage | None = None
        self._hello: wire.Hello | None = None
        self._payloads: dict[str, programs.Payload] = {}
        self._observed: dict[tuple[str, str], Observation | SyseventError] = {}
        self.seconds: dict[tuple[str, str], float] = {}  # that each scenario took
        self.seconds_to_boot = 0.0

    @property
    def kernel(self) -> KernelImage:
        """What it boots; fetched when it is first asked for."""
        if self._kernel is None:
            self._kernel = kernels.find(
                self.spec.kernel, self.arch, self._settings, self._progress, self._modules
            )
        return self._kernel

    def abi(self, name: str) -> Abi:
        """The row of a VMM ABI by its name, "native" being the architecture's first; UsageError when it has none."""
        for abi in self.arch.abis:
            if name in (abi.name, "native" if abi is self.arch.abis[0] else ""):
                return abi
        known = ", ".join(abi.name for abi in self.arch.abis)
        raise UsageError(f"--abi {name}: {self.spec.name} runs VMMs of {known}")

    def facts(self) -> Facts:
        """What the running kernel says of itself."""
        first, *others = catalog.FACTS[self.arch.name]
        native = self.arch.abis[0].name
        seen = [self.observe(first, native)]
        for name in others:
            with contextlib.suppress(HarnessError, VcpuStuck):
                seen.append(self.observe(name, native))
        assert self._hello is not None
        return facts(seen, self._hello)

    def observe(self, name: str, abi: str) -> Observation:
        """What a scenario gives with a VMM of an ABI; run once, then remembered, an error as well.

        GuestLost when the guest was lost in it twice: it is booted again and asked once more, since whatever
        lost it may not have been the scenario, and nothing was seen that a second try could hide.
        """
        key = (name, self.abi(abi).name)
        if key not in self._observed:
            begin = time.monotonic()
            try:
                seen = self._observed[key] = self._ask_twice(catalog.scenario(name), self.abi(abi))
                self._on_observation(self.spec.id, seen)
            except SyseventError as error:
                self._observed[key] = error
            self.seconds[key] = time.monotonic() - begin
        found = self._observed[key]
        if isinstance(found, SyseventError):
            raise found
        return found

    def file(self, path: str) -> bytes:
        """A file of L1, whole; in pieces that fit into a reply, and in no record of the run.

        NotApplicable when it cannot be opened there.
        """
        data, size = b"", _PIECE
        while size == _PIECE:
            step = File(path, "file", len(data), _PIECE)
            piece = self._ask_twice(Scenario(f"file {path}", self.arch.name, (step,)), self.arch.abis[0])
            answer = piece.answers["file"]
            if answer.ret < 0:
                raise NotApplicable(f"{path} of {self.spec.id}: errno {names.errno(answer.errno)}")
            data += answer.data
            size = len(answer.data)
        return data

    def _ask_twice(self, scenario: Scenario, abi: Abi) -> Observation:
        if scenario.arch != self.arch.name:
            raise NotApplicable(
                f"{scenario.name} is for {scenario.arch}; {self.spec.name} is {self.arch.name}"
            )
        payloads = {name: self._payload(name) for name in scenario.payloads}
        body, deadline = request.encode(scenario, payloads)
        try:
            reply = self._running().run(body, abi.number, deadline / 1000 * _SLOW)
        except GuestLost as error:
            self._lost(error, retried=self._boots < _BOOTS)
            if self._boots >= _BOOTS:
                raise
            try:
                reply = self._running().run(body, abi.number, deadline / 1000 * _SLOW)
            except GuestLost as again:
                self._lost(again, retried=False)
                raise
        return request.decode(scenario, payloads, abi.name, reply)

    def _payload(self, name: str) -> programs.Payload:
        if name not in self._payloads:
            self._payloads[name] = programs.payload(self.arch, name, self._settings)
        return self._payloads[name]

    def _running(self) -> QemuGuest:
        """A host whose VMM has said hello; one boot that fails is tried once more."""
        if self._host is not None:
            return self._host
        try:
            return self._boot()
        except GuestLost as error:
            self._lost(error, retried=self._boots < _BOOTS)
            if self._boots >= _BOOTS:
                raise
        try:
            return self._boot()
        except GuestLost as error:
            self._lost(error, retried=False)
            raise

    def _boot(self) -> QemuGuest:
        if self._boots >= _BOOTS:
            raise GuestLost(f"{self.spec.id}: lost {self._boots} times, given up")
        kernel = self.kernel
        self._boots += 1
        files = {"init": programs.init(self.arch, self._settings).path.read_bytes()}
        for abi in self.arch.abis:
            vmm = programs.vmm(self.arch, abi, self._settings).path.read_bytes()
            files[f"vmm.{abi.number}"] = vmm
            files.setdefault("vmm", vmm)  # the native one supervises
        self._progress(f"{self.spec.id}: booting Linux {kernel.release or kernel.spec}")
        logs = self.logs if self._boots == 1 else self.logs / f"boot-{self._boots}"
        host = self._host = QemuGuest(self.spec, kernel, logs, self._settings, self._progress)
        self._hello = host.put(files)
        self.seconds_to_boot = host.seconds_to_boot
        self._progress(
            f"{self.spec.id}: Linux {self._hello.release} answers after {host.seconds_to_boot:.1f} s"
        )
        return host

    def _lost(self, error: GuestLost, *, retried: bool) -> None:
        log = self.logs if self._boots <= 1 else self.logs / f"boot-{self._boots}"
        self._on_incident(Incident(self.spec.id, str(error), str(log / "console.log"), retried))
        self.close()

    def close(self) -> None:
        """Power the guest off, if it runs."""
        if self._host is not None:
            self._host.close()
            self._host = None
