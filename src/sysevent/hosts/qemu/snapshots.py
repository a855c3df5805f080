"""Guests as they were when they were ready, on disk: restored in the time that a boot takes to decompress.

    snapshots/KEY.state   QEMU's migration stream
    snapshots/KEY.json    what the guest said of itself when it was taken
    snapshots/KEY.bad     a byte for each that did not come back to life; after two none is taken any more

The key is hosts/qemu/bundle.py's. A snapshot is only ever a short cut: one that cannot be restored is removed, and
the guest boots.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec

from sysevent.errors import GuestLost
from sysevent.qemu.monitor import Monitor
from sysevent.wire import Hello

BOUND = 4 << 30  # bytes of all of them; one has 50 to 100 MB
_PATIENCE = 60  # seconds for QEMU to write one
_POLL = 0.005
_MIB = 1 << 20
_PIECE = 1 << 16  # bytes of memory that are left out together when all of them are zero
# Since QEMU 4.0. Both sides must be told.
_WITHOUT_MEMORY = [{"capability": "x-ignore-shared", "state": True}]
# Seconds in which a guest comes to rest before it is saved. QEMU 7.2 saves neither arm64's hypervisor timers nor
# riscv64's stimecmp: one that was about to fire never does, and an idle kernel has none about to fire.
_SETTLE = 0.2
_FAILURES = 2  # restores of a guest that may fail before it is left at booting


class Taken(msgspec.Struct, frozen=True):
    """What stands next to a stream."""

    key: str  # of the guest
    size: int
    sum: int  # CRC-32: QEMU notices damage to the stream's framing, and none to the guest's memory
    memory: int  # MiB, after which the stream begins
    hello: Hello
    on_console: bool  # the guest has no virtio port and is asked on its serial line


class Snapshot(msgspec.Struct, frozen=True):
    """One that can be restored."""

    state: Path
    taken: Taken

    def whole(self) -> bool:
        """Whether the file is what was written, read to its end: 50 MB in a twentieth of a second."""
        return _sum(self.state) == self.taken.sum

    def restore(self, monitor: Monitor) -> None:
        """Tell a QEMU that waits with this file as its memory to go on from there. Does not wait."""
        monitor.tell("migrate-set-capabilities", capabilities=_WITHOUT_MEMORY)
        # Through dd: QEMU reads a plain file by its name only from 8.2 on.
        source = f"exec:dd if={shlex.quote(str(self.state))} bs=1M skip={self.taken.memory} status=none"
        monitor.tell("migrate-incoming", uri=source)


class Snapshots:
    """The snapshots below one cache."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "snapshots"

    def find(self, key: str) -> Snapshot | None:
        """The snapshot of a guest; None when there is none that is whole."""
        state, note, _ = self._paths(key)
        try:
            taken = msgspec.json.decode(note.read_bytes(), type=Taken)
            if taken.key != key or state.stat().st_size != taken.size:
                return None
            os.utime(state)  # prune keeps what was used lately
        except (OSError, msgspec.DecodeError):
            return None
        return Snapshot(state, taken)

    def take(self, key: str, monitor: Monitor, memory: int, hello: Hello, *, on_console: bool) -> bool:
        """Write the running guest of a monitor to disk; it runs on afterwards. False when it was given up.

        memory is the file that QEMU shares with us as the guest's. It is copied to where it can be mapped: that
        halves the time of a restore, which reads no page before the guest needs it.
        GuestLost or OSError when that fails; then there is none. Nobody may send the guest anything meanwhile.
        Two processes may take the same one: each writes its own, and the last to finish is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        state, note, bad = self._paths(key)
        with contextlib.suppress(OSError):
            if bad.stat().st_size >= _FAILURES:
                return False
        time.sleep(_SETTLE)
        with self._draft(state) as draft:
            size = os.fstat(memory).st_size
            os.truncate(draft, size)
            # One that was saved while it ran goes on by itself when it is restored.
            monitor.execute("migrate-set-capabilities", capabilities=_WITHOUT_MEMORY)
            monitor.execute("migrate", uri=f"exec:cat >>{shlex.quote(str(draft))}")
            self._wait(monitor)
            with draft.open("r+b") as file:
                for offset, piece in _pieces(memory):
                    os.pwrite(file.fileno(), piece, offset)
            monitor.execute("cont")
            taken = Taken(key, draft.stat().st_size, _sum(draft), size // _MIB, hello, on_console)
            # The file first: a note without its file would be taken for one that can be restored.
            draft.replace(state)
        with self._draft(note) as draft:
            draft.write_bytes(msgspec.json.encode(taken))
            draft.replace(note)
        self.prune()
        return True

    def _wait(self, monitor: Monitor) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            told = monitor.execute("query-migrate")
            match told.get("status"):
                case "completed":
                    return
                case "failed" | "cancelled":
                    raise GuestLost(f"QEMU could not save its machine: {told.get('error-desc', told)}")
            if time.monotonic() > end:
                raise GuestLost(f"QEMU did not save its machine within {_PATIENCE} s")
            time.sleep(_POLL)

    def discard(self, key: str) -> None:
        """Forget a snapshot that is in doubt; the next boot takes another."""
        state, note, _ = self._paths(key)
        for path in (note, state):
            path.unlink(missing_ok=True)

    def give_up(self, key: str) -> None:
        """Forget a snapshot that could not be restored; after the second take no other of the same guest.

        It may have been saved at a bad moment, but some kernels never come back from some QEMUs: trying again
        for ever would cost every run seconds.
        """
        self.discard(key)
        with contextlib.suppress(OSError), self._paths(key)[2].open("ab") as failures:
            failures.write(b"!")

    def prune(self, bound: int = BOUND, unused: timedelta | None = None) -> tuple[int, int]:
        """Remove those used longest ago until the rest fits, and all unused for so long; files and bytes removed.

        A stream that is being restored stays readable to its QEMU.
        """
        found = []
        for path in self.folder.glob("*"):
            if path.suffix == ".json" and path.with_suffix(".state").exists():
                continue  # goes with its stream
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, min(stat.st_size, stat.st_blocks * 512), path))
        room, count, freed = bound, 0, 0
        for used, size, path in sorted(found, reverse=True):
            idle = time.time() - used
            room -= size
            if path.name.startswith("."):
                keep = idle < 2 * _PATIENCE  # somebody is at it
            else:
                keep = room >= 0 and (unused is None or idle < unused.total_seconds())
            if keep:
                continue
            for gone in (path, path.with_suffix(".json")):
                gone.unlink(missing_ok=True)
            count, freed = count + 1, freed + size
        return count, freed

    def _paths(self, key: str) -> tuple[Path, Path, Path]:
        return self.folder / f"{key}.state", self.folder / f"{key}.json", self.folder / f"{key}.bad"

    @contextlib.contextmanager
    def _draft(self, path: Path) -> Iterator[Path]:
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=f".{path.name}.")
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


def _sum(path: Path) -> int:
    """Of what is not zero, and where: holes come and go as files are copied."""
    found = 0
    with path.open("rb") as file:
        for offset, piece in _pieces(file.fileno()):
            found = zlib.crc32(piece, zlib.crc32(offset.to_bytes(8, "little"), found))
    return found


def _pieces(file: int) -> Iterator[tuple[int, bytes]]:
    """The pieces of a file that hold anything but zeros, each with its offset. Holes are not read."""
    offset = 0
    while True:
        try:
            offset = os.lseek(file, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing behind
                return
            raise
        offset -= offset % _PIECE
        piece = os.pread(file, _PIECE, offset)
        if not piece:
            return
        if piece != bytes(len(piece)):
            yield offset, piece
        offset += _PIECE
