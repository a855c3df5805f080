"""Opens guests that hold a real VMM as well, which a run with --vmm names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.errors import SyseventError
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.images.rootfs import kits, vmm_guest
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


class KitOpener(QemuOpener):
    """The Opener (hosts/base.py) of a target whose guests have the files of a kit, and the guest program of its VMM."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        modules: Path | None,
        vmm: str,
        *,
        kit: Callable[[str, Architecture, Settings, Progress], kits.Kit] = kits.kit,
        guest: Callable[[Architecture, Settings], Path] = vmm_guest.archive,
    ) -> None:
        """vmm: the value of --vmm. kit and guest are replaced by tests."""
        super().__init__(spec, settings, modules)
        # Why guests lack the VMM, as kits.kit() raised it; None if they have it.
        self.vmm_error: SyseventError | None = None
        self._vmm = vmm
        self._kit = kit
        self._guest_program = guest

    def prepare(self, progress: Progress) -> None:
        """See Opener. Without its kit the guest boots all the same: other claims are asked there as well."""
        arch = ARCHITECTURES[self._spec.arch]
        try:
            kit = self._kit(self._vmm, arch, self._settings, progress)
        except SyseventError as error:
            self.vmm_error = error
        else:
            self._archives = (kit.archive, self._guest_program(arch, self._settings))
        super().prepare(progress)
