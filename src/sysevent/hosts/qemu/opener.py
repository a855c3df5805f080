"""Opens guests of this machine's QEMU, one after the other: restored if there is a snapshot, booted otherwise."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.cache import Cache
from sysevent.errors import BadWire, GuestLost, SyseventError
from sysevent.hosts import waiting
from sysevent.hosts.base import Host
from sysevent.hosts.qemu import keep, nested
from sysevent.hosts.qemu.bundle import Bundle, prepare
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.hosts.qemu.migration import StillStopped
from sysevent.hosts.qemu.snapshots import Snapshot, Snapshots
from sysevent.images.kernel import resolve
from sysevent.model import ExpectedKernel, KernelImage, Progress
from sysevent.qemu import idle, launch
from sysevent.qemu.confinement import confinement
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


class QemuOpener:
    """The Opener (hosts/base.py) of a target whose kernel QEMU boots."""

    log, origin = "console.log", "boot"

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        modules: Path | None,
        *,
        guest: type[QemuGuest] = QemuGuest,
        bundle: Bundle | None = None,
        archives: Sequence[Path] = (),
    ) -> None:
        """With a bundle, prepare() need not be called. archives: more content of the guest's root, such as a kit's."""
        self._guest = guest
        self._spec = spec
        self._arch = ARCHITECTURES[spec.arch]
        self._settings = settings
        self._modules = modules
        self._archives = archives
        # Not under a debugger: the user wants to see the boot, and a stopped guest cannot be saved. Not with --keep:
        # those guests have a shell, and few runs use them.
        snapshots = settings.snapshots and not settings.debug and not settings.keep
        self._snapshots = Snapshots(settings.cache) if snapshots else None
        self._kernel: KernelImage | None = None
        self._bundle = bundle
        # The snapshot that the last host was opened from; None if it was booted.
        self._snapshot: Snapshot | None = None
        # The snapshot that this run has saved and not tried yet, and the logs of the guest that it is of.
        self._saved: Snapshot | None = None
        self._logs: Path | None = None

    def kernel(self, progress: Progress) -> KernelImage:
        """See Opener. The kernel is fetched at the first call."""
        if self._kernel is None:
            self._kernel = resolve.find(
                self._spec.kernel, self._arch, self._settings, progress, self._modules
            )
        return self._kernel

    def prepare(self, progress: Progress) -> None:
        """See Opener. For `where = "auto"` it may boot a guest under KVM to learn whether KVM nests."""
        # Beside what is done until its result is needed.
        trial = threading.Thread(target=self._confine_ahead, name="trial", daemon=True)
        trial.start()
        kernel = self.kernel(progress)
        files = {"init": programs.init(self._arch, self._settings).content}
        for abi in self._arch.abis:
            vmm = programs.vmm(self._arch, abi, self._settings).content
            files[f"vmm.{abi.number}"] = vmm
            # The native VMM, which is first, also supervises.
            files.setdefault("vmm", vmm)
        if self._settings.keep:
            files |= keep.files(self._arch, self._settings, progress)
        trial.join()
        bundle = prepare(self._spec, kernel, files, self._settings, progress, archives=self._archives)
        if self._spec.where == "auto" and bundle.config.accel == "kvm":
            # Not for `where = "kvm"`: there the run itself shows it.
            obstacle = nested.kvm_obstacle(bundle, self._settings, progress)
            if obstacle:
                bundle = prepare(
                    self._spec, kernel, files, self._settings, progress, obstacle, self._archives
                )
        if self._spec.where != "tcg" and bundle.config.accel == "kvm":
            # A boot takes a second, and the CPU state of one host cannot be restored on another.
            self._snapshots = None
        # In this thread: a trial start of QEMU must not delay a guest.
        launch.confine(bundle.config)
        self._bundle = bundle

    def _confine_ahead(self) -> None:
        """Let QEMU's trial start begin, if it is known already how the guest will run. launch.confine() has errors."""
        if self._spec.where == "tcg":
            with contextlib.suppress(SyseventError):
                confinement(self._arch.qemu, kvm=False)

    def expected(self) -> ExpectedKernel:
        """See Opener."""
        assert self._bundle is not None
        return self._bundle.expected

    def restorable(self) -> bool:
        """See Opener."""
        assert self._bundle is not None
        self._snapshot = self._snapshots.find(self._bundle.key) if self._snapshots else None
        return self._snapshot is not None

    def open(self, logs: Path, progress: Progress, *, restore: bool) -> Host:
        """See Opener."""
        assert self._bundle is not None
        if not restore:
            self._snapshot = None
            # A restore is too short for a message.
            kernel = self._bundle.kernel
            progress(f"{self._spec.id}: booting Linux {kernel.release or kernel.spec}")
        saved = self._snapshots is not None
        return self._guest(self._bundle, logs, progress, self._snapshot, saved=saved)

    def hello_received(self, host: Host, hello: wire.Hello, progress: Progress) -> str:
        """Save a snapshot of a booted guest for the next run, if there will be one; the guest goes on if it can.

        After an error no further snapshot is saved in this run: it would fail for the same reason.
        """
        assert self._bundle is not None
        if self._snapshots is None or self._snapshot is not None or not isinstance(host, QemuGuest):
            return ""
        if Cache(self._settings.cache).obstacle():
            # The run has said so already: see plugin/run.py.
            return ""
        key = self._bundle.key
        if not (self._bundle.kernel.version or self._snapshots.was_booted(key)):
            # A kernel without a package is usually another one the next time, and its verdicts come first.
            return ""
        try:
            self._saved = self._snapshots.take(
                key,
                host.monitor,
                host.memory,
                hello,
                on_console=host.on_console,
                settle=lambda: idle.wait_until_idle(host.pid),
            )
            self._logs = host.log.parent
            return ""
        except StillStopped as error:
            host.kill(str(error))
            reason = ""
        except (OSError, GuestLost) as error:
            # Some QEMUs cannot save some guests. If QEMU has ended, the next request notices.
            reason = f"{self._spec.id}: no snapshot saved: {str(error).splitlines()[0]}"
        self._snapshots = None
        return reason

    def try_snapshot(self, within: float) -> None:
        """See Opener."""
        saved, self._saved = self._saved, None
        if saved is None or self._snapshots is None or self._logs is None:
            return
        assert self._bundle is not None
        trial = self._guest(self._bundle, self._logs / "snapshot", lambda _: None, snapshot=saved)
        trial.hello_timeout = min(trial.hello_timeout, within)
        try:
            trial.start()
            waiting.hello(trial)
        except (GuestLost, BadWire):
            self._snapshots.give_up(self._bundle.key)
        except OSError:
            # It could not be tried.
            self._snapshots.discard(self._bundle.key)
        finally:
            trial.close()

    def forget(self, hello: wire.Hello | None) -> str:
        """See Opener. After two intact snapshots that did not reach HELLO, no more are taken of it for a day."""
        assert self._bundle is not None
        self._saved = None
        if self._snapshots is None:
            return ""
        if hello is not None or self._snapshot is None or not self._snapshot.is_intact():
            self._snapshots.discard(self._bundle.key)
            return ""
        self._snapshots.give_up(self._bundle.key)
        return "a snapshot could not be restored, so the guest boots"
