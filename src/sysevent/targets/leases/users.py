"""The labgrid user of a run, with a note about it on this machine: a lock that the run holds until it ends.

A note whose lock is free belongs to a run that ended without releasing its places.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from sysevent.errors import NotLeased
from sysevent.model import Progress
from sysevent.targets.leases.client import Client
from sysevent.targets.leases.locks import Lock, Locks, user_name

_PREFIX = "labgrid-"


def create_user(coordinator: str, locks: Locks) -> tuple[Client, Lock]:
    """Return a client with a unique user name, and the locked note about it; NotLeased if none can be locked."""
    for _ in range(5):
        client = Client(coordinator, f"{user_name()}-sysevent-{os.getpid()}-{secrets.token_hex(4)}")
        note = locks.take(
            f"{_PREFIX}{client.user}", {"coordinator": client.coordinator, "owner": client.owner}
        )
        # None if another run has just locked the note, to see whether it is stale.
        if note is not None:
            return client, note
    raise NotLeased(f"no file could be locked in {locks.folder}")


def release_stale(client: Client, locks: Locks, progress: Progress) -> None:
    """Release the places and reservations that killed runs of this machine have left with this coordinator.

    Without such runs the coordinator is not asked. What cannot be released now is left for the next run.
    """
    stale = _stale(client.coordinator, locks)
    if not stale:
        return
    done = False
    try:
        for place in client.places():
            if place.acquired in stale:
                client.call("-p", place.name, "release-from", place.acquired)
                progress(
                    f"labgrid: released {place.name}, which a killed run had acquired ({place.acquired})"
                )
        for token, owner in client.reservations().items():
            if owner in stale:
                client.call("cancel-reservation", token)
        done = True
    except NotLeased as error:
        progress(f"labgrid: the places of killed runs could not be released: {error}")
    finally:
        for note in stale.values():
            release_note(note, done=done)


def release_note(note: Lock, *, done: bool) -> None:
    """Unlock a note. done: True removes it; False leaves it for the next run to release the user's places."""
    note.release(keep_note=not done)
    if done:
        # Another user's file cannot be removed from a sticky directory; it is empty by now.
        with contextlib.suppress(OSError):
            note.path.unlink()


def _stale(coordinator: str, locks: Locks) -> dict[str, Lock]:
    """Lock and return the notes of runs that have ended, by labgrid's owner."""
    stale: dict[str, Lock] = {}
    for name in locks.names(_PREFIX):
        note = locks.take(name)
        if note is None:
            # Its run is alive.
            continue
        entries = note.read()
        if entries.get("coordinator") == coordinator and isinstance(entries.get("owner"), str):
            stale[str(entries["owner"])] = note
        else:
            note.release(keep_note=True)
    return stale
