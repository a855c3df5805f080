"""The choice of QEMU's firmware."""

from __future__ import annotations

import shutil
from pathlib import Path

from sysevent.arches import Architecture

# qboot hands over at once, where q35's own SeaBIOS first looks for disks and ROMs: 10 % of a boot of Debian 6.12, 17 %
# of one that has only what KVM needs. QEMU brings it along since 5.1; it takes a bzImage as well as a PVH entry.
_QUICK = {"x86_64": "qboot.rom"}


def fast_firmware(arch: Architecture, accel: str) -> Path | None:
    """The firmware file with which a guest under TCG boots fastest; None: the default of QEMU's machine type.

    Under KVM it is SeaBIOS, the default: it also sets up the MTRRs and IA32_FEATURE_CONTROL, which a nested KVM on
    Intel's CPUs needs.
    """
    qemu = shutil.which(arch.qemu)
    if accel != "tcg" or qemu is None or arch.name not in _QUICK:
        return None
    found = Path(qemu).resolve().parent.parent / "share" / "qemu" / _QUICK[arch.name]
    return found if found.is_file() else None
