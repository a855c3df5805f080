"""Guests as they were when they were ready, on disk: restored in the time that a boot takes to decompress.

    snapshots/KEY.state   QEMU's migration stream
    snapshots/KEY.json    what the guest said of itself when it was taken
    snapshots/KEY.bad     a byte for each that did not come back to life; after two none is taken any more

The key is hosts/boot.py's. A snapshot is only ever a short cut: one that cannot be restored is removed, and
the guest boots.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from sysevent.errors import GuestLost
from sysevent.qemu.monitor import Monitor
from sysevent.wire import Hello

BOUND = 4 << 30  # bytes of all of them; one has 50 to 100 MB
_PATIENCE = 60  # seconds for QEMU to write one
_POLL = 0.005
_PIECE = 1 << 20
# Seconds in which a guest comes to rest before it is saved. QEMU 7.2 saves neither arm64's hypervisor timers nor
# riscv64's stimecmp: one that was about to fire never does, and an idle kernel has none about to fire.
_SETTLE = 0.2
_FAILURES = 2  # restores of a guest that may fail before it is left at booting


@dataclass(frozen=True, slots=True)
class Taken:
    """What stands next to a stream."""

    key: str  # of the guest
    size: int
    sum: int  # CRC-32 of the stream: QEMU notices damage to its framing, and none to the guest's memory
    hello: Hello
    on_console: bool  # the guest has no virtio port and is asked on its serial line


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One that can be restored."""

    state: Path
    taken: Taken

    def whole(self) -> bool:
        """Whether the stream is what was written, read to its end; a hundredth of a second for 30 MB."""
        return _sum(self.state) == self.taken.sum


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

    def take(self, key: str, monitor: Monitor, hello: Hello, *, on_console: bool) -> bool:
        """Write the running guest of a monitor to disk; it runs on afterwards. False when it was given up.

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
            # The guest is idle, so the running one is saved in one go; and one that was saved while it ran
            # goes on by itself when it is restored, which saves a conversation with QEMU.
            monitor.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
            monitor.execute("migrate", uri=f"exec:cat >{shlex.quote(str(draft))}")
            self._wait(monitor)
            monitor.execute("cont")
            # The stream first: a note without its stream would be taken for one that can be restored.
            draft.replace(state)
        with self._draft(note) as draft:
            taken = Taken(key, state.stat().st_size, _sum(state), hello, on_console)
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
                found.append((stat.st_mtime, stat.st_size, path))
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
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = zlib.crc32(piece, found)
    return found
