"""QEMU's migration streams over pipes: of a guest whose memory is a file of this process, and so not in the stream.

QEMU opens no file and starts no program for them (it may run under -sandbox spawn=deny): it gets one end of a pipe over
its monitor. A plain file would do as well, but QEMU 9.1 deprecates that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Iterator

from sysevent.errors import GuestLost
from sysevent.qemu.monitor import Monitor

# Needs QEMU 4.0, and must be set on both sides of the migration.
_WITHOUT_MEMORY = [{"capability": "x-ignore-shared", "state": True}]
# What QEMU calls its end of the pipe.
_NAME = "snapshot"
# States of a migration that does not go on. Source: qapi/migration.json, MigrationStatus; none before the first one.
_ENDED = (None, "none", "completed", "failed", "cancelled")
# Seconds for QEMU to write a stream; a tenth is usual.
_SAVE = 10
# Seconds for QEMU to let a guest run on.
_RESUME = 5
# Seconds between two commands that QEMU may not accept yet.
_POLL = 0.05
# Bytes. A stream without the memory has a third of it.
STREAM_MAX = 4 << 20
# Bytes that a pipe holds, as far as the system permits: then the whole stream is in it before QEMU reads.
_PIPE = 1 << 20


class StillStopped(GuestLost):
    """A guest was stopped to be saved, and QEMU does not let it run on."""


@contextlib.contextmanager
def stopped(monitor: Monitor) -> Iterator[None]:
    """Let a guest that save() stops run on after the context, whatever happens in it; StillStopped if it does not."""
    try:
        yield
    finally:
        _resume(monitor)


def _resume(monitor: Monitor) -> None:
    end = time.monotonic() + _RESUME
    while True:
        try:
            status = monitor.execute("query-migrate", within=_RESUME).get("status")
            if status in _ENDED:
                # Without effect on a guest that runs.
                monitor.execute("cont", within=_RESUME)
                return
            # It would stop the guest when it ends.
            monitor.tell("migrate_cancel")
            raise GuestLost(f"its migration is {status}")
        except GuestLost as error:
            if time.monotonic() > end or not monitor.open:
                raise StillStopped(
                    f"it was stopped for a snapshot and cannot be continued: {error}"
                ) from error
        time.sleep(_POLL)


def save(monitor: Monitor) -> bytes:
    """Return the migration stream of a guest, which is stopped afterwards: call it in stopped().

    GuestLost or OSError if there is none.
    """
    ours, theirs = os.pipe()
    try:
        try:
            # A guest that was running when it was saved continues by itself when it is restored.
            monitor.execute("migrate-set-capabilities", capabilities=_WITHOUT_MEMORY)
            monitor.pass_fd(_NAME, theirs)
        finally:
            os.close(theirs)
        monitor.execute("migrate", uri=f"fd:{_NAME}")
        stream = _read(ours)
    finally:
        os.close(ours)
    migration = monitor.execute("query-migrate", within=_SAVE)
    if migration.get("status") != "completed":
        raise GuestLost(f"QEMU could not save the guest: {migration.get('error-desc', migration)}")
    return stream


def _read(source: int) -> bytes:
    """Return all that QEMU writes to a pipe; GuestLost if that takes too long or is too much."""
    stream, end = bytearray(), time.monotonic() + _SAVE
    while True:
        if not select.select([source], [], [], max(0.0, end - time.monotonic()))[0]:
            raise GuestLost(f"QEMU did not save the guest within {_SAVE} s")
        piece = os.read(source, 1 << 16)
        if not piece:
            return bytes(stream)
        stream += piece
        if len(stream) > STREAM_MAX:
            raise GuestLost(f"QEMU's stream of the guest has more than {STREAM_MAX} bytes")


def restore(monitor: Monitor) -> int:
    """Start a restore; return the file descriptor of the pipe to which write() must write the stream. Does not wait."""
    theirs, ours = os.pipe()
    try:
        with contextlib.suppress(OSError):
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE)
        monitor.tell("migrate-set-capabilities", capabilities=_WITHOUT_MEMORY)
        monitor.pass_fd(_NAME, theirs)
        monitor.tell("migrate-incoming", uri=f"fd:{_NAME}")
    finally:
        os.close(theirs)
    return ours


def write(to: int, stream: bytes) -> None:
    """Write a stream to the pipe of restore(), and close it. Waits until QEMU has read it; OSError if it has ended."""
    with open(to, "wb", buffering=0) as pipe:
        rest = memoryview(stream)
        while rest:
            rest = rest[pipe.write(rest) :]
