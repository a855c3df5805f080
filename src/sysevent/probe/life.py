"""The lives of one target's guest: restored or booted, and again when it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.errors import BadWire, GuestLost, SyseventError
from sysevent.hosts.boot import Boot, prepare
from sysevent.hosts.protocol import Others
from sysevent.hosts.qemu import QemuGuest
from sysevent.hosts.snapshots import Snapshots
from sysevent.images import kernels
from sysevent.model import Incident, KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_BOOTS = 4  # a guest that was lost this often is not worth another boot


class Life:
    """One target with one kernel, from files on disk to a VMM that has said hello."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        logs: Path,
        progress: Progress,
        on_incident: Callable[[Incident], None],
        modules: Path | None = None,
    ) -> None:
        self.spec = spec
        self.arch = ARCHITECTURES[spec.arch]
        self.logs = logs
        self.hello: wire.Hello | None = None
        self.others: Others | None = None  # who else is attended to while this one is waited for
        self.origin = ""  # "boot" or "snapshot", once it is ready
        self.seconds_to_boot = 0.0
        self.host: QemuGuest | None = None  # while one runs
        self._settings = settings
        self._progress = progress
        self._on_incident = on_incident
        self._modules = modules
        self._snapshots = Snapshots(settings.cache) if settings.snapshots else None
        self._preparing = threading.Lock()
        self._kernel: KernelImage | None = None
        self._ready: Boot | SyseventError | None = None
        self._starts = 0  # of QEMU, for the names of logs
        self._boots = 0
        self._log = logs

    def kernel(self, progress: Progress | None = None) -> KernelImage:
        """What it boots; fetched when it is first asked for."""
        if self._kernel is None:
            self._kernel = kernels.find(
                self.spec.kernel, self.arch, self._settings, progress or self._progress, self._modules
            )
        return self._kernel

    @property
    def prepared(self) -> bool:
        """Whether start() has nothing left to do but to start QEMU."""
        return self._ready is not None

    def prepare(self, progress: Progress | None = None) -> None:
        """Get everything onto disk, once. Touches nothing else, so it may run in a thread of its own.

        What goes wrong is remembered for whoever asks the guest first.
        """
        with self._preparing:
            if self._ready is None:
                try:
                    self._ready = self._prepare(progress or self._progress)
                except SyseventError as error:
                    self._ready = error

    def _prepare(self, progress: Progress) -> Boot:
        kernel = self.kernel(progress)
        files = {"init": programs.init(self.arch, self._settings).path.read_bytes()}
        for abi in self.arch.abis:
            vmm = programs.vmm(self.arch, abi, self._settings).path.read_bytes()
            files[f"vmm.{abi.number}"] = vmm
            files.setdefault("vmm", vmm)  # the native one supervises
        return prepare(self.spec, kernel, files, self._settings, progress)

    def start(self) -> None:
        """Start QEMU and return; GuestLost after too many boots, and what went wrong while preparing."""
        self.prepare()
        if isinstance(self._ready, SyseventError):
            raise self._ready
        assert self._ready is not None
        kernel, key = self._ready.kernel, self._ready.key
        # After an incident only a boot can tell whether the snapshot had a part in it.
        snapshot = self._snapshots.find(key) if self._snapshots and self._starts == 0 else None
        if snapshot is None:
            if self._boots >= _BOOTS:
                raise GuestLost(f"{self.spec.id}: lost {self._boots} times, given up")
            self._boots += 1
        self._starts += 1
        self._log = self.logs if self._starts == 1 else self.logs / f"boot-{self._starts}"
        self.origin = "snapshot" if snapshot else "boot"
        if snapshot is None:  # the other way is over before anybody has read this
            self._progress(f"{self.spec.id}: booting Linux {kernel.release or kernel.spec}")
        host = QemuGuest(self._ready, self._log, self._progress, self.others, snapshot)
        host.start()
        self.host, self.hello = host, None

    def running(self) -> QemuGuest:
        """A host whose VMM has said hello; one boot that fails is tried once more."""
        for last in (False, False, True) if self._may_restore else (False, True):
            try:
                return self.greet()
            except (GuestLost, BadWire) as error:
                # A snapshot that does not come back to life is no boot: two of those still stand behind it.
                last = last or self._boots >= _BOOTS
                self.lost(error, retried=not last)
                if last:
                    raise
        raise AssertionError

    @property
    def _may_restore(self) -> bool:
        return self._snapshots is not None and (self._starts == 0 or self.origin == "snapshot")

    def greet(self) -> QemuGuest:
        """Start unless that has been done, and wait for the HELLO; GuestLost when it does not come."""
        if self.host is None:
            self.start()
        assert self.host is not None
        if self.hello is None:
            hello = self.host.hello()
            self.seconds_to_boot = self.host.seconds_to_ready
            source = " from a snapshot" if self.origin == "snapshot" else ""
            self._progress(
                f"{self.spec.id}: Linux {hello.release} answers after {self.seconds_to_boot:.1f} s{source}"
            )
            if self.origin == "boot":
                self._take_snapshot(self.host, hello)
            self.hello = hello
        return self.host

    def _take_snapshot(self, host: QemuGuest, hello: wire.Hello) -> None:
        """For the next run. What goes wrong is told, and this guest goes on if it can."""
        assert isinstance(self._ready, Boot)
        if self._snapshots is None:
            return
        try:
            self._snapshots.take(self._ready.key, host.monitor, hello, on_console=host.on_console)
        except (OSError, GuestLost) as error:
            # Not every QEMU can save every machine. One that ended over it is noticed by the next request.
            self._progress(f"{self.spec.id}: no snapshot could be kept: {str(error).splitlines()[0]}")

    def lost(self, error: SyseventError, *, retried: bool) -> None:
        """Record that the running guest is no more, and clear up behind it."""
        reason = str(error)
        if self.origin == "snapshot" and self.host is not None:
            assert self._snapshots is not None
            assert isinstance(self._ready, Boot)
            if self.hello is not None:
                self._snapshots.discard(self._ready.key)
            else:
                self._snapshots.give_up(self._ready.key)
                reason = f"{self.spec.id}: a snapshot could not be restored, so it boots. {reason}"
        self._on_incident(Incident(self.spec.id, reason, str(self._log / "console.log"), retried))
        self.close()

    @property
    def hopeless(self) -> bool:
        """Lost so often that no further boot is tried."""
        return self._boots >= _BOOTS

    def close(self) -> None:
        """Power the guest off, if it runs."""
        if self.host is not None:
            self.host.close()
            self.host = None
