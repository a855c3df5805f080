"""Guests of this machine's QEMU, one after the other: restored if there is a snapshot, booted otherwise."""

from __future__ import annotations

from pathlib import Path

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.errors import BadWire, GuestLost
from sysevent.hosts.base import Host, Others
from sysevent.hosts.qemu import keep, nested
from sysevent.hosts.qemu.bundle import Boot, prepare
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.hosts.qemu.snapshots import Snapshot, Snapshots
from sysevent.images.kernel import resolve
from sysevent.model import KernelImage, Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


class Booter:
    """See Opener in hosts/base.py."""

    log, origin = "console.log", "boot"

    def __init__(self, spec: TargetSpec, settings: Settings, modules: Path | None) -> None:
        self._spec = spec
        self._arch = ARCHITECTURES[spec.arch]
        self._settings = settings
        self._modules = modules
        # Under a debugger the boot is what one wants to see, and a stopped guest cannot be saved. One that may be
        # kept is another machine, with a shell, that few runs have.
        snapshots = settings.snapshots and not settings.debug and not settings.keep
        self._snapshots = Snapshots(settings.cache) if snapshots else None
        self._kernel: KernelImage | None = None
        self._boot: Boot | None = None
        self._snapshot: Snapshot | None = None  # of the host opened last

    def kernel(self, progress: Progress) -> KernelImage:
        """Fetched when it is first asked for."""
        if self._kernel is None:
            self._kernel = resolve.find(
                self._spec.kernel, self._arch, self._settings, progress, self._modules
            )
        return self._kernel

    def prepare(self, progress: Progress) -> None:
        kernel = self.kernel(progress)
        files = {"init": programs.init(self._arch, self._settings).path.read_bytes()}
        for abi in self._arch.abis:
            vmm = programs.vmm(self._arch, abi, self._settings).path.read_bytes()
            files[f"vmm.{abi.number}"] = vmm
            files.setdefault("vmm", vmm)  # the native one supervises
        if self._settings.keep:
            files |= keep.files(self._arch, self._settings, progress)
        boot = prepare(self._spec, kernel, files, self._settings, progress)
        if self._spec.where == "auto" and boot.machine.accel == "kvm":
            # Whoever insists on KVM is told by the run itself.
            why = nested.refused(boot, self._settings, progress)
            if why:
                boot = prepare(self._spec, kernel, files, self._settings, progress, why)
        if self._spec.where != "tcg" and boot.machine.accel == "kvm":
            # It boots in a second, and the state of one host's CPU is nothing to restore on another's.
            self._snapshots = None
        self._boot = boot

    def restorable(self) -> bool:
        assert self._boot is not None
        self._snapshot = self._snapshots.find(self._boot.key) if self._snapshots else None
        return self._snapshot is not None

    def open(self, logs: Path, progress: Progress, others: Others | None, *, restore: bool) -> Host:
        assert self._boot is not None
        if not restore:  # the other way is over before anybody has read this
            self._snapshot = None
            kernel = self._boot.kernel
            progress(f"{self._spec.id}: booting Linux {kernel.release or kernel.spec}")
        return QemuGuest(
            self._boot, logs, progress, others, self._snapshot, saved=self._snapshots is not None
        )

    def greeted(self, host: Host, hello: wire.Hello, progress: Progress) -> None:
        """Take a snapshot for the next run. What goes wrong is told, and this guest goes on if it can."""
        assert self._boot is not None
        if self._snapshots is None or self._snapshot is not None or not isinstance(host, QemuGuest):
            return
        try:
            key, memory = self._boot.key, host.memory
            while self._snapshots.take(key, host.monitor, memory, hello, on_console=host.on_console):
                if self._comes_back(host.log.parent):
                    break
        except (OSError, GuestLost) as error:
            # Not every QEMU can save every machine. One that ended over it is noticed by the next request.
            progress(f"{self._spec.id}: no snapshot could be kept: {str(error).splitlines()[0]}")

    def _comes_back(self, logs: Path) -> bool:
        """Whether the snapshot just taken can be restored: the next run should not be who finds that out."""
        assert self._boot is not None
        assert self._snapshots is not None
        taken = self._snapshots.find(self._boot.key)
        trial = QemuGuest(self._boot, logs / "snapshot", lambda _: None, snapshot=taken)
        try:
            trial.start()
            trial.hello()
        except (GuestLost, BadWire):
            self._snapshots.give_up(self._boot.key)
            return False
        finally:
            trial.close()
        return True

    def forget(self, hello: wire.Hello | None) -> str:
        assert self._boot is not None
        assert self._snapshots is not None
        if hello is not None:
            self._snapshots.discard(self._boot.key)
            return ""
        self._snapshots.give_up(self._boot.key)
        return "a snapshot could not be restored, so it boots"
