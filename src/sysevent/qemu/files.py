"""The files of an installed QEMU that decide how a guest behaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sysevent.arches import Architecture

# Bytes. Firmware that is larger is UEFI's, which no guest of ours boots.
_FIRMWARE_MAX = 3 << 20


def installed_files(arch: Architecture) -> tuple[Path, ...]:
    """Return the program of an architecture's QEMU, its accelerators, and all firmware beside it; () without QEMU.

    Firmware is taken as a whole: QEMU chooses by machine type, and which file it reads is known to it alone.
    """
    qemu = shutil.which(arch.qemu)
    if qemu is None:
        return ()
    program = Path(qemu).resolve()
    return (program, *sorted(_others(program)))


def _others(program: Path) -> Iterator[Path]:
    prefix = program.parent.parent
    # Debian builds TCG for x86 as a module.
    yield from prefix.glob("lib*/qemu/accel-*.so")
    yield from prefix.glob("lib/*/qemu/accel-*.so")
    # As installed; SeaBIOS is a package of its own in Debian; in a build directory of QEMU.
    for folder in (prefix / "share" / "qemu", prefix / "share" / "seabios", program.parent / "pc-bios"):
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if _is_firmware(path))


def _is_firmware(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _FIRMWARE_MAX
