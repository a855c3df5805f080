"""The restore of one guest: QEMU reads the snapshot, and a thread checks the same file meanwhile."""

from __future__ import annotations

import contextlib
import threading

from sysevent.hosts.qemu import migration
from sysevent.hosts.qemu.snapshots import Snapshot
from sysevent.qemu.monitor import Monitor


class Restore:
    """One restore, from its beginning."""

    def __init__(self, monitor: Monitor, snapshot: Snapshot) -> None:
        """Begin, and return at once; OSError if there is no pipe."""
        # Whether the snapshot is intact; empty until the thread has ended.
        self._intact: list[bool] = []
        to = migration.restore(monitor)
        self._thread = threading.Thread(target=self._read, args=(snapshot, to), name="snapshot", daemon=True)
        self._thread.start()

    def _read(self, snapshot: Snapshot, to: int) -> None:
        # A QEMU that has ended does not read it, and is noticed elsewhere.
        with contextlib.suppress(OSError):
            migration.write(to, snapshot.stream())
        self._intact.append(snapshot.is_intact())

    @property
    def found_damage(self) -> bool:
        """True if the snapshot is known to be damaged; False also while it is being read."""
        return self._intact == [False]

    def is_intact(self) -> bool:
        """Wait until the snapshot has been read, and return whether it is as it was written."""
        self._thread.join()
        return self._intact == [True]
