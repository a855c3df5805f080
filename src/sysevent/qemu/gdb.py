"""A debugger on a guest: the socket of QEMU's gdbstub, and the command line to paste."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from sysevent.arches import Architecture
from sysevent.model import KernelImage

# The depth of arch/x86/boot/bzImage in a kernel tree, which has vmlinux at its top.
_ABOVE = 4


def listening_socket() -> socket.socket:
    """A listening TCP socket on a loopback port that the kernel chose, for QEMU to inherit.

    A client of a gdbstub controls the guest, so the socket is never bound to another interface. The socket stays open
    from the choice of the port on, so no other program can take the port.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def command_line(arch: Architecture, port: int, symbols: Path | None) -> str:
    """The shell command that attaches gdb to a guest; symbols: its vmlinux, None when unknown."""
    words = ["gdb-multiarch"]
    for command in (f"set architecture {arch.gdb}", f"target remote 127.0.0.1:{port}"):
        words += ["-ex", command]
    # gdb reads the file before any -ex and takes the architecture from it. Without a file it needs the command.
    return shlex.join([*words, *([str(symbols)] if symbols else [])])


def symbol_file(kernel: KernelImage) -> Path | None:
    """The vmlinux that an image was made from: in its kernel tree, or that of Debian's linux-image-*-dbg.

    None when there is none.
    """
    given = Path(kernel.spec.removeprefix("tree:"))
    # kernel.image may be an unpacked copy in the cache. Then only the user's own path leads to the tree.
    folders = [given, *given.resolve().parents[:_ABOVE]] if given.exists() else []
    candidates = [folder / "vmlinux" for folder in (*folders, *kernel.image.resolve().parents[:_ABOVE])]
    if kernel.release:
        candidates.append(Path("/usr/lib/debug/boot") / f"vmlinux-{kernel.release}")
    return next((path for path in candidates if path.is_file()), None)
