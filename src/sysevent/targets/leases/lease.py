"""Taking a target for one run alone: a slot of this machine, a static host, or a lab's place."""

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

_PATIENCE = 30.0  # seconds between two lines to somebody who waits
_STEP = 0.25  # seconds between two looks


class _Holding(Protocol):
    """Something that is ours until it is released."""

    def release(self) -> None: ...


class Lease:
    """A target that no other run has. Use it as a context manager, or release() it."""

    def __init__(self, spec: TargetSpec, holding: _Holding, waited: float) -> None:
        self.spec = spec  # the one to use: of a lab's place it says where that is
        self.waited = waited  # seconds, for others
        self._holding = holding

    def check(self) -> None:
        """LeaseLost when it is ours no more. A flock stays ours as long as we live."""
        if isinstance(self._holding, labgrid.LabgridLease):
            self._holding.check()

    def release(self) -> None:
        """Let others have it. Any number of times."""
        holding, self._holding = self._holding, _Nothing()
        holding.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _Nothing:
    def release(self) -> None:
        """There is nothing to let go."""


class Leases:
    """What one run takes.

    Whoever waits must hold nothing: then no two runs can wait for each other, whatever they want in whatever
    order. So `waiting` is called before take() begins to wait, and has to let go of what the run can get again.
    """

    def __init__(
        self,
        settings: Settings,
        slots: int | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._locks = Locks(settings.locks)
        # Of the machine, not of this process's affinity: all runs have to mean the same slots.
        self._slots = slots or os.cpu_count() or 1
        self._waiting = waiting

    def take(self, spec: TargetSpec, progress: Progress) -> Lease:
        """The target, for us alone. Waits up to spec.lease seconds while others have it; NotLeased then."""
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
        """A slot of this machine, when there is one right now; for guests that are started ahead of their turn."""
        lock = self._free(spec)
        return Lease(spec, lock, 0.0) if lock else None

    def state(self, spec: TargetSpec) -> str:
        """For a list of targets: "free", or who has it."""
        if spec.where == "labgrid":
            return "by labgrid"
        names = self._names(spec)
        taken = [name for name in names if self._locks.held(name)]
        if spec.booted:
            return f"{len(names) - len(taken)} of {len(names)} slots free"
        return f"with {self._locks.holder(taken[0])}" if taken else "free"

    def _names(self, spec: TargetSpec) -> list[str]:
        if spec.booted:
            return [f"slot-{number}" for number in range(self._slots)]
        if spec.where == "local":
            return ["local"]
        # A port is part of who it is: several machines can stand behind one address.
        return [f"host-{spec.address.lower()}{f':{spec.port}' if spec.port else ''}"]

    def _free(self, spec: TargetSpec) -> Lock | None:
        note: dict[str, object] = {"target": spec.id}
        return next((lock for name in self._names(spec) if (lock := self._locks.take(name, note))), None)

    def _wait(self, spec: TargetSpec, progress: Progress, begin: float) -> Lock:
        told = -_PATIENCE
        while True:
            lock = self._free(spec)
            now = time.monotonic() - begin
            if lock is not None:
                return lock
            if now > spec.lease:
                raise NotLeased(
                    f"{spec.id}: {self._what(spec)} within {spec.lease} s (`lease` in the target file): "
                    f"{self._holders(spec)}"
                )
            if now - told >= _PATIENCE:
                told = now
                progress(
                    f"{spec.id}: waiting up to {spec.lease} s, {self._what(spec)}: {self._holders(spec)}"
                )
            time.sleep(_STEP * random.uniform(0.5, 1))  # so that nobody is always late

    def _what(self, spec: TargetSpec) -> str:
        return "no slot for a guest of this machine is free" if spec.booted else "it is not free"

    def _holders(self, spec: TargetSpec) -> str:
        return "; ".join(dict.fromkeys(self._locks.holder(name) for name in self._names(spec)))
