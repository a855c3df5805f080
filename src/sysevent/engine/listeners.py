"""The callbacks of the engine."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sysevent.model import Incident, Observation, Progress


class Listeners(msgspec.Struct, frozen=True):
    """Callbacks for progress, incidents and observations."""

    progress: Progress
    incident: Callable[[Incident], None]
    # Called with the id of the target.
    observation: Callable[[str, Observation], None]
