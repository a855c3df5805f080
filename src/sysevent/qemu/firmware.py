"""The choice of QEMU's firmware."""

from __future__ import annotations

import shutil
from pathlib import Path

from sysevent.arches import Architecture


def fast_firmware(arch: Architecture, accel: str) -> Path | None:
    """The firmware file with which a guest under TCG boots fastest; None: the default of QEMU's machine type.

    Under KVM it is SeaBIOS, the default: it also sets up the MTRRs and IA32_FEATURE_CONTROL, which a nested KVM on
    Intel's CPUs needs.
    """
    qemu = shutil.which(arch.qemu)
    if accel != "tcg" or qemu is None or not arch.quick_firmware:
        return None
    found = Path(qemu).resolve().parent.parent / "share" / "qemu" / arch.quick_firmware
    return found if found.is_file() else None
