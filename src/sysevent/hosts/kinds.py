"""What a target's `where` means: the kind of host, and what this machine must have for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.base import Host, Opener, Others
from sysevent.hosts.local import LocalHost
from sysevent.hosts.qemu.opener import Booter
from sysevent.hosts.running import Machines, Vmms
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


def opener(spec: TargetSpec, settings: Settings, modules: Path | None = None) -> Opener:
    """What opens the hosts of a target. Does nothing yet."""
    if spec.booted:
        return Booter(spec, settings, modules)
    if spec.where == "local":
        return Machines(spec, settings, "vmm.log", LocalHost)
    return Machines(spec, settings, "ssh.log", _over_ssh)  # labgrid's are reached that way, too


def _over_ssh(spec: TargetSpec, vmms: Vmms, logs: Path, progress: Progress, others: Others | None) -> Host:
    # Here and not above: paramiko takes a tenth of a second to import, which few runs need.
    from sysevent.hosts.ssh.host import SshHost

    return SshHost(spec, vmms, logs, progress, others)


def missing(spec: TargetSpec, kernels: Sequence[str] = ()) -> str:
    """Why a target cannot be asked about these --kernel, and what to do; "" when it can be tried."""
    qemu = ARCHITECTURES[spec.arch].qemu
    if spec.booted and shutil.which(qemu) is None:
        return f"{qemu} is not installed: `sysevent doctor` gives the line that installs it"
    if not spec.booted and kernels:
        return (
            f"{spec.name} is asked about the kernel that runs there, not about --kernel {' '.join(kernels)}"
        )
    return ""
