"""Access to a guest that was kept after its run: a shell on a second console, behind a socket in the results."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from sysevent.arches import Architecture
from sysevent.errors import UsageError
from sysevent.model import Progress
from sysevent.settings import Settings

# The socket's name in the target's folder of the results.
SOCKET = "shell.sock"

# Run by guests/init/init.c beside the VMM. The shell starts again when the user leaves it.
_KEEP = """
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='kept# '
tries=0
while [ ! -c /dev/hvc0 ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
while [ -c /dev/hvc0 ]; do
    setsid -c sh </dev/hvc0 >/dev/hvc0 2>&1
    sleep 1
done
"""


def files(arch: Architecture, settings: Settings, progress: Progress) -> Mapping[str, bytes]:
    """The additional files of a guest that may be kept: path in the guest -> content.

    Raises ImageError when BusyBox cannot be fetched.
    """
    # Imported here: few runs need it.
    from sysevent.images.rootfs import userland

    return userland.shell(arch, settings, progress) | {"keep": _KEEP.encode()}


def listening_socket(folder: Path) -> socket.socket:
    """A listening socket in folder, for QEMU to inherit.

    Its client is root in the guest, so the folder's mode becomes 0700. Raises OSError.
    """
    folder.chmod(0o700)
    (folder / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(folder) as path:
            listener.bind(path)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def connected_socket(folder: Path) -> Iterator[socket.socket]:
    """A socket that is connected to the shell of the guest kept in folder; UsageError when there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with _short_path(folder) as path:
                connection.connect(path)
        except OSError as error:
            raise UsageError(
                f"--attach {folder}: {error.strerror}: no guest is kept there, or it has ended; "
                "a run with --keep prints where its guests are"
            ) from error
        yield connection


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A path of the socket that fits into the 107 bytes of a socket address, however long the folder's path is."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}"
    finally:
        os.close(directory)
