"""Snapshots of ready guests on disk. A restore takes about as long as the decompression of a kernel in a boot.

    snapshots/KEY.state   the guest's memory, then QEMU's migration stream
    snapshots/KEY.json    a SnapshotNote, as a record of the cache
    snapshots/KEY.bad     one byte for each failed restore; after two no snapshot is taken for a day
    snapshots/KEY.booted  empty: this guest was booted before

The key is hosts/qemu/bundle.py's. A snapshot only saves time: one that cannot be restored is removed, and the guest
boots.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec

from sysevent.cache import Cache
from sysevent.hosts.qemu import migration
from sysevent.model import Progress
from sysevent.qemu.monitor import Monitor
from sysevent.wire import Hello

# Bytes of all snapshots together; one has 50 to 100 MB.
SIZE_LIMIT = 4 << 30
# Seconds after which no process writes to an unfinished file any more.
_DRAFT = 120
_MIB = 1 << 20
# Bytes. Pieces of memory that are all zero become holes of the file.
_PIECE = 1 << 16
# Failed restores of a guest after which no snapshot is taken of it, and for how many seconds: some kernels can never be
# restored by some QEMUs, but one that was saved on a busy machine may be restorable tomorrow.
_MAX_FAILURES = 2
_REMEMBERED = 24 * 3600.0


class SnapshotNote(msgspec.Struct, frozen=True):
    """The facts that are stored beside a snapshot's state file."""

    key: str
    # Bytes of the state file, holes included.
    size: int
    # CRC-32 of the state file, see _sum(). QEMU detects damage to the stream's framing, not to the guest's memory. This
    # is for faults of disks, of which it misses one in four thousand millions; SHA-256 takes three times as long.
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
        try:
            return _sum(self.state) == self.note.sum
        except OSError:
            return False

    def stream(self) -> bytes:
        """QEMU's migration stream, without the guest's memory; OSError."""
        with self.state.open("rb") as file:
            file.seek(self.note.memory * _MIB)
            return file.read(migration.STREAM_MAX)

    def open(self) -> int:
        """A file descriptor of the guest's memory, for QEMU, which does not change it; OSError.

        QEMU opens the file for writing, even with share=off. Where the cache is read-only, it gets a copy in memory.
        """
        try:
            return os.open(self.state, os.O_RDWR)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
        copy = os.memfd_create("sysevent: a snapshot")
        os.truncate(copy, self.note.size)
        with self.state.open("rb") as file:
            for offset, piece in _pieces(file.fileno()):
                os.pwrite(copy, piece, offset)
        return copy


class Snapshots:
    """The snapshots below one cache."""

    def __init__(self, cache: Path) -> None:
        self._cache = Cache(cache)
        self.folder = cache / "snapshots"

    def find(self, key: str) -> Snapshot | None:
        """The snapshot of a guest; None when there is none, or its files do not fit together.

        Marks it as used for prune().
        """
        found = self._stored(key)
        if found is not None:
            self._cache.touch(found.state)
        return found

    def _stored(self, key: str) -> Snapshot | None:
        state, note_path, _ = self._paths(key)
        note = self._cache.read(note_path, SnapshotNote)
        try:
            if note is None or note.key != key or state.stat().st_size != note.size:
                return None
        except OSError:
            return None
        return Snapshot(state, note)

    def was_booted(self, key: str) -> bool:
        """Whether this guest was booted before, as far as is known: recorded from now on."""
        path = self.folder / f"{key}.booted"
        before = path.exists()
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            path.touch()
        return before

    def take(
        self,
        key: str,
        monitor: Monitor,
        memory: int,
        hello: Hello,
        *,
        on_console: bool,
        settle: Callable[[], None],
    ) -> Snapshot | None:
        """Save the running guest of a monitor, which runs on afterwards, and return the snapshot.

        None if too many restores of this guest have failed. memory: file descriptor of the guest's memory, which QEMU
        shares. It is copied into the state file, which a restore maps: half the time of reading it, because pages are
        read only when the guest needs them. on_console: True when the guest's frames travel on the serial line.
        settle: returns when the guest is idle.

        Raises GuestLost or OSError; then no snapshot exists. The guest runs on all the same, unless it is StillStopped
        of migration.py. Do not send to the guest during this call. Several processes may save the same guest: each
        writes files of its own, and the last to finish wins.
        """
        state, note_path, bad = self._paths(key)
        with contextlib.suppress(OSError):
            failures = bad.stat()
            if failures.st_size >= _MAX_FAILURES and time.time() - failures.st_mtime < _REMEMBERED:
                return None
        self.folder.mkdir(parents=True, exist_ok=True)
        self._require_space(memory)
        with self._draft(state) as draft, draft.open("r+b") as file:
            size = os.fstat(memory).st_size
            os.truncate(draft, size)
            settle()
            with migration.stopped(monitor):
                stream = migration.save(monitor)
                for offset, piece in _pieces(memory):
                    _write(file.fileno(), piece, offset)
            _write(file.fileno(), stream, size)
            note = SnapshotNote(key, size + len(stream), _sum(draft), size // _MIB, hello, on_console)
            # Before the note: find() takes a note with a state file for a complete snapshot.
            draft.replace(state)
        self._cache.record(note_path, note)
        if (found := self.find(key)) is None:
            self.discard(key)
            raise OSError(errno.ENOSPC, f"{note_path.name} cannot be written")
        self.prune()
        return found

    def _require_space(self, memory: int) -> None:
        """OSError if the disk has no space for the guest's memory: to see it later keeps the guest stopped for long."""
        needed = os.fstat(memory).st_blocks * 512 + migration.STREAM_MAX
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < needed:
            raise OSError(
                errno.ENOSPC, f"the disk of {self.folder} has less than the needed {needed >> 20} MiB"
            )

    def discard_damaged(self, progress: Progress) -> Iterator[Path]:
        """Compare every snapshot with its checksum; delete those that differ, and yield their state files."""
        for state in sorted(self.folder.glob("[!.]*.state")):
            progress(f"hashing {self.folder.name}/{state.name}")
            found = self._stored(state.stem)
            if found is None or not found.is_intact():
                self.discard(state.stem)
                yield state

    def discard(self, key: str) -> None:
        """Delete a snapshot that may be bad; the next boot takes another one."""
        state, note_path, _ = self._paths(key)
        for path in (note_path, state):
            self._cache.remove(path)

    def give_up(self, key: str) -> None:
        """Delete a snapshot that could not be restored; after the second one no more are taken of this guest for a day.

        The guest may have been saved at a bad moment. But some kernels can never be restored by some QEMUs, and trying
        again would then cost every run seconds.
        """
        self.discard(key)
        bad = self._paths(key)[2]
        with contextlib.suppress(OSError):
            before = bad.read_bytes() if bad.exists() else b""
            # Renamed, not appended to: the file may have other names in copies of the cache.
            with self._draft(bad) as draft:
                draft.write_bytes(before + b"!")
                draft.replace(bad)

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
                keep = idle < _DRAFT
            else:
                keep = left >= 0 and (unused is None or idle < unused.total_seconds())
            if keep:
                continue
            for part in (path, path.with_suffix(".json")):
                self._cache.remove(part)
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


def _write(file: int, data: bytes, offset: int) -> None:
    """Write all data at an offset; OSError. A disk that fills up takes a part of it."""
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


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
