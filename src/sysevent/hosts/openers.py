"""Opens each kind of host, which a target's `where` selects, and tells what this machine needs for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.base import Host, Opener
from sysevent.hosts.local import LocalHost
from sysevent.hosts.running_kernel import RunningKernelOpener, Vmms
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets.kinds import KindName
from sysevent.targets.spec import TargetSpec


def opener(spec: TargetSpec, settings: Settings, modules: Path | None = None, vmm: str = "") -> Opener:
    """The opener for a target's kind of host. Does no work yet.

    modules: the directory of the kernel's modules, for a kernel that is given by path. vmm: of --vmm; a kernel that
    runs already gets none.
    """
    if vmm and spec.booted:
        # Imported here: it reads the modules for Debian packages.
        from sysevent.hosts.qemu.kit_opener import KitOpener

        return KitOpener(spec, settings, modules, vmm)
    return OPENERS[spec.where](spec, settings, modules)


def _qemu(spec: TargetSpec, settings: Settings, modules: Path | None) -> Opener:
    # Imported here: collecting tests needs no kernel image.
    from sysevent.hosts.qemu.opener import QemuOpener

    return QemuOpener(spec, settings, modules)


def _ssh(spec: TargetSpec, settings: Settings, modules: Path | None) -> Opener:
    return RunningKernelOpener(spec, settings, "ssh.log", _ssh_host)


def _local(spec: TargetSpec, settings: Settings, modules: Path | None) -> Opener:
    return RunningKernelOpener(spec, settings, "vmm.log", LocalHost)


# By the names of targets/kinds.py. labgrid's places are also reached over SSH.
OPENERS: dict[KindName, Callable[[TargetSpec, Settings, Path | None], Opener]] = {
    "tcg": _qemu,
    "kvm": _qemu,
    "auto": _qemu,
    "ssh": _ssh,
    "labgrid": _ssh,
    "local": _local,
}


def _ssh_host(spec: TargetSpec, vmms: Vmms, logs: Path, progress: Progress) -> Host:
    # Imported here: paramiko takes a tenth of a second to import, and few runs need it.
    from sysevent.hosts.ssh.host import SshHost

    return SshHost(spec, vmms, logs, progress)


def obstacle(spec: TargetSpec, kernels: Sequence[str] = ()) -> str:
    """Why a target cannot be asked about the kernels of --kernel, with the remedy; "" when it can be tried."""
    qemu = ARCHITECTURES[spec.arch].qemu
    if spec.booted and shutil.which(qemu) is None:
        return f"{qemu} is not installed: `sysevent doctor` gives the line that installs it"
    if not spec.booted and kernels:
        return (
            f"{spec.name} is asked about the kernel that runs there, not about --kernel {' '.join(kernels)}"
        )
    return ""
