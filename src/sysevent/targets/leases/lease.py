"""Leases of targets, each for one run at a time: a slot of this machine, a host of the target file, a labgrid place."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from sysevent.errors import NotLeased
from sysevent.model import Progress
from sysevent.settings import Settings
from sysevent.targets.leases import labgrid
from sysevent.targets.leases.locks import Lock, Locks
from sysevent.targets.spec import TargetSpec

# Seconds between two lines of progress.
_PROGRESS_INTERVAL = 30.0
# Seconds between two attempts at a lock.
_RETRY_INTERVAL = 0.25


class _Holding(Protocol):
    """Something that this run holds until it is released."""

    def release(self) -> None: ...


class Lease:
    """A target that no other run has. Use it as a context manager, or call release()."""

    def __init__(self, spec: TargetSpec, holding: _Holding, waited: float) -> None:
        # The target to use: for a labgrid place, with the address of the machine.
        self.spec = spec
        # Seconds of waiting for other runs.
        self.waited = waited
        self._holding = holding

    def check(self) -> None:
        """Raise LeaseLost when this run does not hold the target any more; a flock is held until its process ends."""
        if isinstance(self._holding, labgrid.LabgridLease):
            self._holding.check()

    def release(self) -> None:
        """Release the target; further calls do nothing."""
        holding, self._holding = self._holding, _Released()
        holding.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _Released:
    def release(self) -> None:
        """Do nothing."""


class Leases:
    """The leases of one run.

    A run that waits must hold nothing, so that no two runs can wait for each other, whatever they take in
    whatever order. So `waiting` is called before take() starts to wait, and must release every lease that the
    run can take again later.
    """

    def __init__(
        self,
        settings: Settings,
        slots: int | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._locks = Locks(settings.locks)
        # All CPUs, not only those of this process's affinity mask: every run must count the same slots. One more, as in
        # engine/scheduler.py.
        self._slots = slots or (os.cpu_count() or 1) + 1
        self._waiting = waiting

    def take(self, spec: TargetSpec, progress: Progress) -> Lease:
        """Lease a target; NotLeased when other runs have it for more than spec.lease seconds.

        While this waits, progress gets a line every 30 s.
        """
        if spec.where == "labgrid":
            place = labgrid.take(spec, self._locks, progress, self._waiting)
            return Lease(place.spec, place, place.waited)
        begin = time.monotonic()
        lock = self._free(spec)
        if lock is None:
            self._waiting()
            lock = self._wait(spec, progress, begin)
        return Lease(spec, lock, time.monotonic() - begin)

    def try_take(self, spec: TargetSpec) -> Lease | None:
        """Lease a target without waiting, for a guest that is booted before it is needed; None if it is not free."""
        lock = self._free(spec)
        return Lease(spec, lock, 0.0) if lock else None

    def state(self, spec: TargetSpec) -> str:
        """Return whether a target is free, or which run has it, in words for a list of targets."""
        if spec.where == "labgrid":
            return "by labgrid"
        names = self._names(spec)
        taken = [name for name in names if self._locks.held(name)]
        if spec.booted:
            return f"{len(names) - len(taken)} of {len(names)} slots free"
        return f"held by {self._locks.holder(taken[0])}" if taken else "free"

    def _names(self, spec: TargetSpec) -> list[str]:
        """Return the names of the locks of which a run needs one."""
        lock = spec.kind.lock
        if spec.booted:
            return [lock.format(slot=number) for number in range(self._slots)]
        # With the port: several machines can be reached at one address.
        return [lock.format(address=f"{spec.address.lower()}{f':{spec.port}' if spec.port else ''}")]

    def _free(self, spec: TargetSpec) -> Lock | None:
        note: dict[str, object] = {"target": spec.id}
        return next((lock for name in self._names(spec) if (lock := self._locks.take(name, note))), None)

    def _wait(self, spec: TargetSpec, progress: Progress, begin: float) -> Lock:
        reported = -_PROGRESS_INTERVAL
        while True:
            lock = self._free(spec)
            now = time.monotonic() - begin
            if lock is not None:
                return lock
            if now > spec.lease:
                raise NotLeased(
                    f"{spec.id}: {self._problem(spec)} within {spec.lease} s (`lease` in the target file): "
                    f"{self._holders(spec)}"
                )
            if now - reported >= _PROGRESS_INTERVAL:
                reported = now
                progress(
                    f"{spec.id}: waiting up to {spec.lease} s, {self._problem(spec)}: {self._holders(spec)}"
                )
            # Random, so that no run is always later than another.
            time.sleep(_RETRY_INTERVAL * random.uniform(0.5, 1))

    def _problem(self, spec: TargetSpec) -> str:
        return "no slot for a guest on this machine is free" if spec.booted else "it is not free"

    def _holders(self, spec: TargetSpec) -> str:
        return "; ".join(dict.fromkeys(self._locks.holder(name) for name in self._names(spec)))
