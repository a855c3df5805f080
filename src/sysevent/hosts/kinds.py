"""The kinds of host: what a target's `where` selects, and what this machine needs for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.base import Host, Opener
from sysevent.hosts.local import LocalHost
from sysevent.hosts.running_kernel import RunningKernelOpener, Vmms
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


def opener(spec: TargetSpec, settings: Settings, modules: Path | None = None) -> Opener:
    """The opener for a target's kind of host. Does no work yet.

    modules: the directory of the kernel's modules, for a kernel that is given by path.
    """
    if spec.booted:
        # Imported here: collecting tests needs no kernel image.
        from sysevent.hosts.qemu.opener import QemuOpener

        return QemuOpener(spec, settings, modules)
    if spec.where == "local":
        return RunningKernelOpener(spec, settings, "vmm.log", LocalHost)
    # "ssh", and "labgrid", whose places are also reached over SSH.
    return RunningKernelOpener(spec, settings, "ssh.log", _ssh_host)


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
