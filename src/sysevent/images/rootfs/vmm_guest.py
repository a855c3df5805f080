"""The guest program that a real VMM runs in L1 (guests/vmms), in the form that the VMM loads, as an archive."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from sysevent.arches import Architecture
from sysevent.build import programs
from sysevent.cache import Cache
from sysevent.images.rootfs import newc
from sysevent.settings import Settings

# Paths in L1, without a slash at their start: the form that QEMU loads, and the one that other VMMs load.
# scenario/vmms.py names them.
PATH = "sysevent/guest"
OTHER_PATH = "sysevent/guest.other"
# Bytes of a ROM of x86, which ends at 4 GiB.
_ROM = 1 << 16
# A flat image: the address of its first byte, and its least size. None: the ELF file, which starts at its entry. QEMU
# does not start an ELF there on riscv64.
_FLAT: dict[str, tuple[int, int] | None] = {
    "arm64": None,
    "riscv64": (0x8000_0000, 0),
    "x86_64": (0xFFFF_0000, _ROM),
}


def archive(arch: Architecture, settings: Settings) -> Path:
    """Return the path of an archive in newc format with the program; BuildFailed or ToolMissing."""
    elf = programs.guest_of_vmms(arch, settings).content
    flat = _flat(arch, elf)
    # A ROM is a ROM to every VMM.
    other = flat if flat is not None and len(flat) == _ROM else elf
    data = newc.archive(
        [
            newc.directory(str(PurePosixPath(PATH).parent)),
            newc.plain(PATH, elf if flat is None else flat),
            newc.plain(OTHER_PATH, other),
        ]
    )
    cache = Cache(settings.cache)
    path = cache.root / "initramfs" / f"guest-{hashlib.sha256(data).hexdigest()[:32]}.cpio"
    if cache.content(path) != data:
        cache.keep(path, data)
    return path


def _flat(arch: Architecture, elf: bytes) -> bytes | None:
    form = _FLAT[arch.name]
    if form is None:
        return None
    base, size = form
    segments = programs.read_payload("vmms", elf).segments
    flat = bytearray(max(size, *(at + len(data) - base for at, data in segments)))
    for at, data in segments:
        flat[at - base : at - base + len(data)] = data
    return bytes(flat)
