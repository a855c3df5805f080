"""What runs before the kernel, where there is a choice."""

from __future__ import annotations

import shutil
from pathlib import Path

from sysevent.arches import Architecture


def quick(arch: Architecture, accel: str) -> Path | None:
    """The firmware that an emulated machine boots soonest with; None for the machine's own.

    Under KVM it stays SeaBIOS, which also sets up MTRRs and IA32_FEATURE_CONTROL as a KVM on Intel's CPUs wants them.
    """
    qemu = shutil.which(arch.qemu)
    if accel != "tcg" or qemu is None or not arch.quick_firmware:
        return None
    found = Path(qemu).resolve().parent.parent / "share" / "qemu" / arch.quick_firmware
    return found if found.is_file() else None
