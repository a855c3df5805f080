"""What QEMU is denied, in case a guest takes it over: system calls, new privileges, and the rights of root.

QEMU filters its own system calls (-sandbox) if it was built with seccomp and the kernel permits that. No program that
it starts can gain privileges. Where this process is root and the guest needs no /dev/kvm, QEMU runs as a user without
rights: it gets all its files as open file descriptors. A trial start, without a guest, decides what of this works here:
containers can forbid each of them, and not every QEMU has seccomp. It also shows how slow this machine is. The QEMUs of
one directory that have seccomp, and that the same users may run, need one trial together.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import shutil
import stat
import subprocess
import time
from pathlib import Path

import msgspec

from sysevent.errors import InfrastructureError, ToolMissing
from sysevent.process import die_with_parent

# Seconds for QEMU to start and carry out "quit"; 0.04 is usual.
_TRIAL = 120
# Seconds that it may take where deadlines are as usual: they have room for a machine with much to do.
_PROMPT = 0.2
# How many times longer a guest may take at most: one that never boots is waited for as well, and then for an hour.
_MOST = 20.0
# Seconds of CPU time, of which 0.04 are usual, whatever else the machine does. An emulated one takes 0.3 to 0.6, and
# 200 times as long as usual for a boot: by a clock that goes on as usual a vCPU was stuck there.
_SLOW_CPU = 0.15
# At the beginning of a program, there are the names of its libraries, in the first megabyte of Debian's QEMUs.
_ELF, _SECCOMP, _STRINGS = b"\x7fELF", b"libseccomp.so", 1 << 21
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
    # What the trial took, by the clock and in CPU time; 0 if none succeeded.
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def stretch(self) -> float:
        """How many times longer than usual a guest may take on this machine; 1 unless it is very slow."""
        return min(max(1.0, self.seconds / _PROMPT), _MOST)

    @property
    def very_slow(self) -> bool:
        """Whether guests under TCG need a clock that goes as slowly as they do."""
        return self.cpu_seconds > _SLOW_CPU

    @property
    def pace(self) -> str:
        """What follows for guests under TCG if this machine is very slow; "" if it is not."""
        if not self.very_slow:
            return ""
        return (
            f"QEMU needs {self.cpu_seconds:.1f} s of CPU time to start here, so that the clocks of guests count "
            "instructions"
        )

    @property
    def other_user(self) -> bool:
        """Whether QEMU runs as another user, who can open no file of this one by its name."""
        return any(word.startswith("--reuid") for word in self.privileges)


_Alike = tuple[object, ...]
# What was found for programs that are alike, and a user.
_FOUND: dict[tuple[_Alike, tuple[str, ...]], Confinement] = {}


def confinement(program: str, *, kvm: bool) -> Confinement:
    """The strictest confinement that works for a QEMU, whose name on PATH is program.

    kvm: True: it opens /dev/kvm, which needs the rights of this user. InfrastructureError if QEMU hangs.
    """
    path = shutil.which(program)
    if path is None:
        return Confinement()
    key = _alike(path), () if kvm or os.geteuid() != 0 else _AS_OTHER
    found = _FOUND.get(key)
    if found is None:
        found = _working(path, key[1])
        # Another one may start if this one does not.
        if found.options:
            _FOUND[key] = found
    return found


@functools.cache
def _alike(program: str) -> _Alike:
    """What QEMUs that filter system calls share: their directory, and who may run them. Any other one is alone."""
    path = Path(program).resolve()
    with contextlib.suppress(OSError), path.open("rb") as file:
        begin = file.read(_STRINGS)
        if begin.startswith(_ELF) and _SECCOMP in begin:
            status = os.fstat(file.fileno())
            return path.parent, status.st_mode, status.st_uid, status.st_gid
    # As a script, which can start another program.
    return (program,)


@functools.cache
def _working(program: str, user: tuple[str, ...]) -> Confinement:
    for privileges, options in ((user, _SANDBOX), ((), _SANDBOX), (user, ()), ((), ())):
        found = Confinement((_NO_NEW_PRIVILEGES, *privileges), options)
        begin = time.monotonic()
        with contextlib.suppress(ToolMissing, OSError):
            used = _tried(program, found)
            if used is not None:
                return msgspec.structs.replace(found, seconds=time.monotonic() - begin, cpu_seconds=used)
    return Confinement()


def _tried(program: str, found: Confinement) -> float | None:
    """The CPU time in which QEMU, confined like this, starts and carries out "quit"; None if it fails."""
    command = die_with_parent([program, *found.options, *_EMPTY], privileges=found.privileges)
    taken, given = os.pipe()
    with os.fdopen(taken, "rb") as commands:
        os.write(given, _QUIT)
        os.close(given)
        process = subprocess.Popen(
            command, stdin=commands, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        hangs = not _ends(process.pid)
        if hangs:
            process.kill()
        # Popen does not tell what it used.
        _, status, usage = os.wait4(process.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        # What started this process ignores SIGCHLD, so that how a child ended is lost. Popen does the same.
        process.returncode = 0
        return 0.0
    process.returncode = os.waitstatus_to_exitcode(status)
    if hangs:
        # Without confinement it would hang as well, and each boot would wait for it.
        raise InfrastructureError(f"{program} does not start and quit within {_TRIAL} s")
    return None if process.returncode else usage.ru_utime + usage.ru_stime


def _ends(pid: int) -> bool:
    """Whether a child ends in time. ProcessLookupError if it has left no trace."""
    watched = os.pidfd_open(pid)
    try:
        end = select.poll()
        end.register(watched, select.POLLIN)
        return bool(end.poll(_TRIAL * 1000))
    finally:
        os.close(watched)


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
