"""What is called while a target is asked."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sysevent.model import Incident, Observation, Progress


class Listeners(msgspec.Struct, frozen=True):
    """Functions for the person who waits, and for the record of the run."""

    progress: Progress
    incident: Callable[[Incident], None]
    # With the id of the target.
    observation: Callable[[str, Observation], None]
