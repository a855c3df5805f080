"""What a target does at the moment, for those who wait."""

from __future__ import annotations

import msgspec

from sysevent.engine.restarts import Restarts

# By the origin of a host that has not answered yet.
_STARTING = {"snapshot": "restoring", "boot": "booting", "running": "connecting"}


class Stage(msgspec.Struct, frozen=True):
    """A word, such as "booting", and how many planned questions have an answer while they are asked."""

    word: str
    answered: int = 0
    planned: int = 0


# Every planned question has its answer.
ANSWERED = Stage("answered")
# Its files are fetched and built.
PREPARING = Stage("preparing")
# It has no host: none was started yet, or it was ended or lost.
WAITING = Stage("waiting")
# A claim failed, and is asked again in another guest.
CONFIRMING = Stage("confirming a failure")


def stage(restarts: Restarts, unanswered: int, planned: int | None) -> Stage:
    """Return the stage of a target with so many planned questions; None: its plan is not known yet."""
    if not restarts.prepared:
        return PREPARING
    if planned is not None and not unanswered:
        return ANSWERED
    if restarts.ready:
        return Stage("asking", planned - unanswered, planned) if planned else Stage("asking")
    return WAITING if restarts.session is None else Stage(_STARTING[restarts.origin])
