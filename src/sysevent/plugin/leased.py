"""The leases of a run: a slot of this machine for each guest that runs, and the lab machine that is being asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from sysevent.errors import InfrastructureError, LeaseLost, copy_of
from sysevent.model import Incident, Progress
from sysevent.targets.leases.lease import Lease, Leases
from sysevent.targets.spec import TargetSpec

# A longer wait for a lease is recorded as an incident; seconds.
_REPORTED_WAIT = 1.0
# Seconds between two attempts to get a slot for a guest that is started ahead.
_RETRY = 0.5


class Leased:
    """The leases of one run, by target; the GuestSlots of its scheduler."""

    def __init__(
        self,
        leases: Leases,
        progress: Progress,
        on_incident: Callable[[Incident], None],
        lost: Callable[[TargetSpec], None],
    ) -> None:
        self._leases = leases
        self._progress = progress
        self._on_incident = on_incident
        self._on_lost = lost
        self._held: dict[str, Lease] = {}
        self._lost: dict[str, LeaseLost] = {}
        # The time (time.monotonic()) of the last attempt that found no slot.
        self._full = 0.0

    def take(self, spec: TargetSpec) -> TargetSpec:
        """Lease a target, waiting until it is free; the spec to use, which a lab completes. NotLeased."""
        if spec.id not in self._held:
            try:
                self._held[spec.id] = self._leases.take(spec, self._progress)
            except InfrastructureError as error:
                self._record(spec, str(error))
                raise
            waited = self._held[spec.id].waited
            if waited > _REPORTED_WAIT:
                self._record(spec, f"{spec.id}: leased after waiting {waited:.0f} s")
        return self._held[spec.id].spec

    def check(self, spec: TargetSpec) -> None:
        """LeaseLost if the lease has ended: the target's answers do not count any more. Recorded once."""
        if spec.id in self._lost:
            raise copy_of(self._lost[spec.id])
        try:
            if spec.id in self._held:
                self._held[spec.id].check()
        except LeaseLost as error:
            self._lost[spec.id] = error
            self._record(spec, str(error))
            self._on_lost(spec)
            raise

    def try_take(self, spec: TargetSpec) -> bool:
        """For the scheduler: lease a slot for a guest and return True, or False if none is free. Does not wait."""
        if spec.id in self._held:
            return True
        # Only guests of this machine are started ahead: such a guest takes no more than a slot from other runs.
        if not spec.booted or time.monotonic() - self._full < _RETRY:
            return False
        lease = self._leases.try_take(spec)
        if lease is None:
            self._full = time.monotonic()
            return False
        self._held[spec.id] = lease
        return True

    def release(self, spec: TargetSpec) -> None:
        """Release a target; without effect if it is not held."""
        self._lost.pop(spec.id, None)
        lease = self._held.pop(spec.id, None)
        if lease is not None:
            lease.release()

    def close(self) -> None:
        """Release everything."""
        while self._held:
            self._held.popitem()[1].release()

    def _record(self, spec: TargetSpec, reason: str) -> None:
        self._on_incident(Incident(spec.id, reason, "", retried=False))
