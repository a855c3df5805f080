"""What QEMU is denied, in case a guest takes it over: system calls, new privileges, and the rights of root.

QEMU filters its own system calls (-sandbox) if it was built with seccomp and the kernel permits that. No program that
it starts can gain privileges. Where this process is root and the guest needs no /dev/kvm, QEMU runs as a user without
rights: it gets all its files as open file descriptors. A trial start, without a guest, decides what of this works here:
containers can forbid each of them, and not every QEMU has seccomp.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec

from sysevent.errors import InfrastructureError, ToolMissing
from sysevent.process import die_with_parent

# Seconds for QEMU to start and carry out "quit"; 0.04 is usual.
_TRIAL = 20
_QUIT = b'{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
# A machine without devices, firmware or CPU.
_EMPTY = ("-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S", "-qmp", "stdio")
_NO_NEW_PRIVILEGES = "--no-new-privs"
# QEMU starts no program here: snapshots are written to file descriptors.
_SANDBOX = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny,spawn=deny")
# The user and group that own nothing: the default of the sysctls kernel.overflowuid and kernel.overflowgid.
_OTHER = 65534
_AS_OTHER = (f"--reuid={_OTHER}", f"--regid={_OTHER}", "--clear-groups")


class Confinement(msgspec.Struct, frozen=True):
    """How one QEMU is confined."""

    # Words of setpriv(1).
    privileges: tuple[str, ...] = ()
    # Options of QEMU.
    options: tuple[str, ...] = ()

    @property
    def other_user(self) -> bool:
        """Whether QEMU runs as another user, who can open no file of this one by its name."""
        return any(word.startswith("--reuid") for word in self.privileges)


def confinement(program: str, *, kvm: bool) -> Confinement:
    """The strictest confinement that works for a QEMU, whose name on PATH is program.

    kvm: True: it opens /dev/kvm, which needs the rights of this user. InfrastructureError if QEMU hangs.
    """
    user = () if kvm or os.geteuid() != 0 else _AS_OTHER
    path = shutil.which(program)
    return _working(path, user) if path else Confinement()


@functools.cache
def _working(program: str, user: tuple[str, ...]) -> Confinement:
    for privileges, options in ((user, _SANDBOX), ((), _SANDBOX), (user, ()), ((), ())):
        found = Confinement((_NO_NEW_PRIVILEGES, *privileges), options)
        if _works(program, found):
            return found
    return Confinement()


def _works(program: str, found: Confinement) -> bool:
    """Whether QEMU starts when it is confined like this, and carries out "quit"."""
    with contextlib.suppress(ToolMissing, OSError):
        command = die_with_parent([program, *found.options, *_EMPTY], privileges=found.privileges)
        try:
            done = subprocess.run(command, input=_QUIT, capture_output=True, timeout=_TRIAL, check=False)
        except subprocess.TimeoutExpired:
            # Without confinement it would hang as well, and each boot would wait for it.
            raise InfrastructureError(f"{program} does not start and quit within {_TRIAL} s") from None
        return done.returncode == 0
    return False


def open_for(found: Confinement, path: str | os.PathLike[str]) -> int:
    """A file descriptor of a file, for QEMU to open again by /proc/self/fd. OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return readable_by(found, file)
    finally:
        os.close(file)


def readable_by(found: Confinement, file: int) -> int:
    """Another file descriptor for an open file, which QEMU can open again by /proc/self/fd. OSError.

    QEMU's user needs the permission to read it: a file that is not readable for all is copied into memory.
    """
    if not found.other_user or os.fstat(file).st_mode & stat.S_IROTH:
        return os.dup(file)
    return _copy(file)


def _copy(file: int) -> int:
    copy = os.memfd_create("sysevent: a file of a guest")
    at = 0
    try:
        while sent := os.sendfile(copy, file, at, 1 << 24):
            at += sent
    except OSError:
        os.close(copy)
        raise
    return copy


def let_write(found: Confinement, file: int) -> None:
    """Permit QEMU's user to open the file of a descriptor again for writing. OSError.

    A file with a name is closed to other users by its directory, which must hold nothing that they need.
    """
    if not found.other_user:
        return
    status = os.fstat(file)
    if status.st_nlink:
        Path(f"/proc/self/fd/{file}").readlink().parent.chmod(0o700)
    if status.st_mode & 0o006 != 0o006:
        os.fchmod(file, 0o666)
