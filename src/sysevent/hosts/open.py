"""What a target's `where` means: the kind of host, and what this machine must have for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.booter import Booter
from sysevent.hosts.protocol import Opener
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

BOOTED = ("tcg", "kvm", "auto")  # guests of this machine's QEMU: they boot the kernel that --kernel names


def opener(spec: TargetSpec, settings: Settings, modules: Path | None = None) -> Opener:
    """What opens the hosts of a target. Does nothing yet."""
    return Booter(spec, settings, modules)


def missing(spec: TargetSpec) -> str:
    """What this machine lacks for a target, and what to do; "" when it can be tried."""
    qemu = ARCHITECTURES[spec.arch].qemu
    if spec.where in BOOTED and shutil.which(qemu) is None:
        return f"{qemu} is not installed: `sysevent doctor` gives the line that installs it"
    return ""
