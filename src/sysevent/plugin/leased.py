"""What this run has for itself alone: a slot for each guest that runs, and the lab machine that is being asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from sysevent.engine.asker import Asker
from sysevent.errors import InfrastructureError, LeaseLost
from sysevent.model import Incident, Progress
from sysevent.targets.leases.lease import Lease, Leases
from sysevent.targets.spec import TargetSpec

_WORTH = 1.0  # seconds of waiting that are told
_AGAIN = 0.5  # seconds until a slot is looked for again for a guest whose turn it is not


class Leased:
    """The leases of one run, by target. The scheduler asks it for room."""

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
        self._full = 0.0  # when there was last no slot for a guest ahead of its turn

    def take(self, spec: TargetSpec) -> TargetSpec:
        """The target for us alone, waited for if need be; the spec to use."""
        if spec.id not in self._held:
            try:
                self._held[spec.id] = self._leases.take(spec, self._progress)
            except InfrastructureError as error:
                self._tell(spec, str(error))
                raise
            waited = self._held[spec.id].waited
            if waited > _WORTH:
                self._tell(spec, f"{spec.id}: got after {waited:.0f} s, for this run alone")
        return self._held[spec.id].spec

    def check(self, spec: TargetSpec) -> None:
        """LeaseLost when what the target answers is worth nothing any more; told once."""
        if spec.id in self._lost:
            raise self._lost[spec.id]
        try:
            if spec.id in self._held:
                self._held[spec.id].check()
        except LeaseLost as error:
            self._lost[spec.id] = error
            self._tell(spec, str(error))
            self._on_lost(spec)
            raise

    def enter(self, asker: Asker) -> bool:
        """For the scheduler: whether a guest may start now."""
        if asker.spec.id in self._held:
            return True
        # Only guests of this machine start ahead of their turn: they cost nobody else more than a slot.
        if not asker.spec.booted or time.monotonic() - self._full < _AGAIN:
            return False
        lease = self._leases.try_take(asker.spec)
        if lease is None:
            self._full = time.monotonic()
            return False
        self._held[asker.spec.id] = lease
        return True

    def leave(self, asker: Asker) -> None:
        """For the scheduler: a guest has ended."""
        self.release(asker.spec)

    def release(self, spec: TargetSpec) -> None:
        """Let others have it."""
        self._lost.pop(spec.id, None)
        lease = self._held.pop(spec.id, None)
        if lease is not None:
            lease.release()

    def close(self) -> None:
        """Nothing is ours any more."""
        while self._held:
            self._held.popitem()[1].release()

    def _tell(self, spec: TargetSpec, reason: str) -> None:
        self._on_incident(Incident(spec.id, reason, "", retried=False))
