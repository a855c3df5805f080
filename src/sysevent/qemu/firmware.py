"""What runs before the kernel, where there is a choice."""

from __future__ import annotations

import shutil
from pathlib import Path

from sysevent.arches import Architecture

# qboot hands over at once, where q35's own SeaBIOS first looks for disks and ROMs: 10 % of a boot of Debian 6.12, 17 %
# of one that has only what KVM needs. QEMU brings it along since 5.1; it takes a bzImage as well as a PVH entry.
_QUICK = {"x86_64": "qboot.rom"}


def quick(arch: Architecture, accel: str) -> Path | None:
    """The firmware that an emulated machine boots soonest with; None for the machine's own.

    Under KVM it stays SeaBIOS, which also sets up MTRRs and IA32_FEATURE_CONTROL as a KVM on Intel's CPUs wants them.
    """
    qemu = shutil.which(arch.qemu)
    if accel != "tcg" or qemu is None or arch.name not in _QUICK:
        return None
    found = Path(qemu).resolve().parent.parent / "share" / "qemu" / _QUICK[arch.name]
    return found if found.is_file() else None
