"""A guest in a debugger's hands: where QEMU's gdbstub listens, and the line to paste."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from sysevent.arches import Architecture
from sysevent.model import KernelImage

_ABOVE = 4  # arch/x86/boot/bzImage is so deep in its tree, which has vmlinux at its top


def listening() -> socket.socket:
    """A port of the loopback interface, for QEMU to inherit.

    Whoever talks to a gdbstub owns the guest, so no other interface is ever bound; and since the kernel chooses
    the port and the socket never closes, no other program can have it in between.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.bind(("127.0.0.1", 0))
        found.listen(1)
    except OSError:
        found.close()
        raise
    return found


def line(arch: Architecture, port: int, symbols: Path | None) -> str:
    """The command that attaches to a guest."""
    words = ["gdb-multiarch"]
    for order in (f"set architecture {arch.gdb}", f"target remote 127.0.0.1:{port}"):
        words += ["-ex", order]
    # The file is read before any -ex, and would set the architecture by itself; where there is none gdb must know.
    return shlex.join([*words, *([str(symbols)] if symbols else [])])


def symbols(kernel: KernelImage) -> Path | None:
    """The vmlinux that an image was made from: in its tree, or where Debian's linux-image-*-dbg has it."""
    given = Path(kernel.spec.removeprefix("tree:"))
    # QEMU may have got a copy, unpacked into the cache: then only what the user wrote leads to the tree.
    folders = [given, *given.resolve().parents[:_ABOVE]] if given.exists() else []
    places = [folder / "vmlinux" for folder in (*folders, *kernel.image.resolve().parents[:_ABOVE])]
    if kernel.release:
        places.append(Path("/usr/lib/debug/boot") / f"vmlinux-{kernel.release}")
    return next((path for path in places if path.is_file()), None)
