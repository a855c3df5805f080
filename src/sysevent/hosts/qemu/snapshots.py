"""Snapshots of ready guests on disk. A restore takes about as long as the decompression of a kernel in a boot.

    snapshots/KEY.state   the guest's memory, then QEMU's migration stream
    snapshots/KEY.json    a SnapshotNote
    snapshots/KEY.bad     one byte for each failed restore; after two no snapshot is taken any more

The key is hosts/qemu/bundle.py's. A snapshot only saves time: one that cannot be restored is removed, and the guest
boots.
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

# Bytes of all snapshots together; one has 50 to 100 MB.
SIZE_LIMIT = 4 << 30
# Seconds for QEMU to write a migration stream.
_SAVE_TIMEOUT = 60
# Seconds between two queries of the migration.
_POLL = 0.005
_MIB = 1 << 20
# Bytes. Pieces of memory that are all zero become holes of the file.
_PIECE = 1 << 16
# Needs QEMU 4.0, and must be set on both sides of the migration.
_WITHOUT_MEMORY = [{"capability": "x-ignore-shared", "state": True}]
# Seconds for the guest to become idle before it is saved. QEMU 7.2 saves neither arm64's hypervisor timers nor
# riscv64's stimecmp: a pending timer never fires after a restore, and an idle kernel has none.
_SETTLE = 0.2
# Failed restores of a guest after which no snapshot is taken of it any more.
_MAX_FAILURES = 2


class SnapshotNote(msgspec.Struct, frozen=True):
    """The facts that are stored beside a snapshot's state file."""

    key: str
    # Bytes of the state file, holes included.
    size: int
    # CRC-32 of the state file, see _sum(). QEMU detects damage to the stream's framing, not to the guest's memory.
    sum: int
    # MiB of the guest's memory, which is the first part of the state file.
    memory: int
    hello: Hello
    # True: the guest has no virtio port, its frames travel on the serial line.
    on_console: bool


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot that can be restored."""

    state: Path
    note: SnapshotNote

    def is_intact(self) -> bool:
        """Whether the state file is as written. Reads all of it: 50 MB in a twentieth of a second."""
        return _sum(self.state) == self.note.sum

    def restore(self, monitor: Monitor) -> None:
        """Start the restore in a QEMU that was started with the state file as memory. Does not wait for its end."""
        monitor.tell("migrate-set-capabilities", capabilities=_WITHOUT_MEMORY)
        # Through dd: QEMU can read a file by name only since 8.2.
        source = f"exec:dd if={shlex.quote(str(self.state))} bs=1M skip={self.note.memory} status=none"
        monitor.tell("migrate-incoming", uri=source)


class Snapshots:
    """The snapshots below one cache."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "snapshots"

    def find(self, key: str) -> Snapshot | None:
        """The snapshot of a guest; None when there is none, or its files do not fit together.

        Marks it as used for prune().
        """
        state, note_path, _ = self._paths(key)
        try:
            note = msgspec.json.decode(note_path.read_bytes(), type=SnapshotNote)
            if note.key != key or state.stat().st_size != note.size:
                return None
            os.utime(state)
        except (OSError, msgspec.DecodeError):
            return None
        return Snapshot(state, note)

    def take(self, key: str, monitor: Monitor, memory: int, hello: Hello, *, on_console: bool) -> bool:
        """Save the running guest of a monitor, which runs on afterwards. True when a snapshot was written.

        False: too many restores of this guest have failed. memory: file descriptor of the guest's memory, which QEMU
        shares. It is copied into the state file, which a restore maps: half the time of reading it, because pages are
        read only when the guest needs them. on_console: True when the guest's frames travel on the serial line.
        Raises GuestLost or OSError; then no snapshot exists. Do not send to the guest during this call.
        Several processes may save the same guest: each writes files of its own, and the last to finish wins.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        state, note_path, bad = self._paths(key)
        with contextlib.suppress(OSError):
            if bad.stat().st_size >= _MAX_FAILURES:
                return False
        time.sleep(_SETTLE)
        with self._draft(state) as draft:
            size = os.fstat(memory).st_size
            os.truncate(draft, size)
            # A guest that was running when it was saved continues by itself when it is restored.
            monitor.execute("migrate-set-capabilities", capabilities=_WITHOUT_MEMORY)
            monitor.execute("migrate", uri=f"exec:cat >>{shlex.quote(str(draft))}")
            self._await_migration(monitor)
            with draft.open("r+b") as file:
                for offset, piece in _pieces(memory):
                    os.pwrite(file.fileno(), piece, offset)
            monitor.execute("cont")
            note = SnapshotNote(key, draft.stat().st_size, _sum(draft), size // _MIB, hello, on_console)
            # Before the note: find() takes a note with a state file for a complete snapshot.
            draft.replace(state)
        with self._draft(note_path) as draft:
            draft.write_bytes(msgspec.json.encode(note))
            draft.replace(note_path)
        self.prune()
        return True

    def _await_migration(self, monitor: Monitor) -> None:
        end = time.monotonic() + _SAVE_TIMEOUT
        while True:
            migration = monitor.execute("query-migrate")
            match migration.get("status"):
                case "completed":
                    return
                case "failed" | "cancelled":
                    raise GuestLost(
                        f"QEMU could not save the guest: {migration.get('error-desc', migration)}"
                    )
            if time.monotonic() > end:
                raise GuestLost(f"QEMU did not save the guest within {_SAVE_TIMEOUT} s")
            time.sleep(_POLL)

    def discard(self, key: str) -> None:
        """Delete a snapshot that may be bad; the next boot takes another one."""
        state, note_path, _ = self._paths(key)
        for path in (note_path, state):
            path.unlink(missing_ok=True)

    def give_up(self, key: str) -> None:
        """Delete a snapshot that could not be restored; after the second one no more are taken of this guest.

        The guest may have been saved at a bad moment. But some kernels can never be restored by some QEMUs, and trying
        again would then cost every run seconds.
        """
        self.discard(key)
        with contextlib.suppress(OSError), self._paths(key)[2].open("ab") as failures:
            failures.write(b"!")

    def prune(self, limit: int = SIZE_LIMIT, unused: timedelta | None = None) -> tuple[int, int]:
        """Delete the least recently used snapshots until the rest has at most limit bytes, and those unused for longer.

        unused: None deletes none because of its age. Returns the number of deleted files and their bytes on disk. A
        QEMU that is restoring a deleted snapshot is not affected.
        """
        found = []
        for path in self.folder.glob("*"):
            if path.suffix == ".json" and path.with_suffix(".state").exists():
                # Deleted together with its state file.
                continue
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, min(stat.st_size, stat.st_blocks * 512), path))
        left, count, freed = limit, 0, 0
        for used, size, path in sorted(found, reverse=True):
            idle = time.time() - used
            left -= size
            if path.name.startswith("."):
                # A draft that another process may still be writing.
                keep = idle < 2 * _SAVE_TIMEOUT
            else:
                keep = left >= 0 and (unused is None or idle < unused.total_seconds())
            if keep:
                continue
            for part in (path, path.with_suffix(".json")):
                part.unlink(missing_ok=True)
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
    """The CRC-32 of all pieces that are not zero and their offsets: a copy may have other holes than the original."""
    checksum = 0
    with path.open("rb") as file:
        for offset, piece in _pieces(file.fileno()):
            checksum = zlib.crc32(piece, zlib.crc32(offset.to_bytes(8, "little"), checksum))
    return checksum


def _pieces(file: int) -> Iterator[tuple[int, bytes]]:
    """The pieces of a file that are not all zero, each with its offset. Holes are not read."""
    offset = 0
    while True:
        try:
            offset = os.lseek(file, offset, os.SEEK_DATA)
        except OSError as error:
            # No data after this offset.
            if error.errno == errno.ENXIO:
                return
            raise
        offset -= offset % _PIECE
        piece = os.pread(file, _PIECE, offset)
        if not piece:
            return
        if piece != bytes(len(piece)):
            yield offset, piece
        offset += _PIECE
