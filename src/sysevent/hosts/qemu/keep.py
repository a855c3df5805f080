"""A way into a guest that outlives its run: a shell on a console of its own, behind a socket in the results."""

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

SOCKET = "shell.sock"

# What guests/init/init.c starts beside the VMM.
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
    """What a guest that may be kept has in addition: path in the guest -> content."""
    from sysevent.images.rootfs import userland

    return userland.shell(arch, settings, progress) | {"keep": _KEEP.encode()}


def listening(folder: Path) -> socket.socket:
    """A socket in folder, for QEMU to inherit; the folder becomes ours alone: whoever connects is root in there."""
    folder.chmod(0o700)
    (folder / SOCKET).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as path:
            found.bind(path)
        found.listen(1)
    except OSError:
        found.close()
        raise
    return found


@contextlib.contextmanager
def connected(folder: Path) -> Iterator[socket.socket]:
    """To the shell behind that socket; UsageError when nobody is there any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
        try:
            with _short(folder) as path:
                found.connect(path)
        except OSError as error:
            raise UsageError(
                f"--attach {folder}: {error.strerror}: no guest is kept there, or it has ended; "
                "a run with --keep prints where its guests are"
            ) from error
        yield found


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A name for the socket that fits into an address of 107 bytes, however long the folder's is."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}"
    finally:
        os.close(directory)
